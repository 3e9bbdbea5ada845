"""A few models of the zoo in float64 on every backend: they agree, and planted defects are found.

`nox -s referee` does it with the whole zoo.
"""

import pytest

from tests.zoo import referee

CLEAN = ("cnn_bn", "attention", "dropout", "resizing", "short_cast")
DEFECTS = {case: referee.DEFECTS[case] for case in ("cnn_bn:bn_epsilon", "attention:gelu_tanh")}
KERNEL = "attention:kernel_1e-6"


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    return folder, referee.trace_all(folder, CLEAN, [*DEFECTS, KERNEL])


@pytest.mark.parametrize("name", [name for name in CLEAN if name != "short_cast"])
def test_a_clean_model_agrees_in_every_quantity_and_nothing_of_it_is_short(traced, name):
    folder, lines = traced
    judgements = referee.judge(folder, name)
    assert list(judgements) == ["0 updates", "short batch"]
    for judgement in judgements.values():
        assert len({one.quantity for one in judgement.mathematics}) > 15
        assert not [one for one in judgement.mathematics if one.apart]
        assert not [one for one in judgement.kernels if one.departs]
    for backend in referee.BACKENDS:
        assert lines[backend, "float64"][name]["short"] == []


@pytest.mark.parametrize("case", DEFECTS)
def test_a_defect_of_one_backend_is_found_at_its_layer(traced, case):
    for judgement in referee.judge(traced[0], case).values():
        first = judgement.first_departure("torch")
        assert first.quantity == DEFECTS[case]
        assert first.departure > 1e3 * first.gate
        assert not [
            judgement.first_departure(backend)
            for backend in ("jax", "tensorflow")
            if judgement.first_departure(backend)
        ]


def test_an_error_of_a_kernel_is_found_at_its_layer_and_is_none_of_the_mathematics(traced):
    judgement = referee.judge(traced[0], KERNEL)["0 updates"]
    assert judgement.first_departure("torch") is None
    assert judgement.first_kernel("torch").quantity == "output/dense"


@pytest.mark.parametrize("backend", referee.BACKENDS)
def test_a_users_own_cast_to_float32_is_named_with_its_line(traced, backend):
    short = traced[1][backend, "float64"]["short_cast"]["short"]
    assert [line for line in short if "float32" in line and "tests/zoo/defects.py:" in line]
