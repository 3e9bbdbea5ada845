"""A float64 referee of any model, on arrays: who departs, where first, and in which dtype only."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.referee.model64 import judge_model

BACKENDS = ("tensorflow", "jax", "torch")
U32, U64 = 2.0**-24, 2.0**-53
SHAPES = {
    "output/first": (6, 4),
    "output/last": (6, 3),
    "training output/first": (6, 4),
    "loss": (),
    "gradient/last/kernel": (4, 3),
    "gradient/first/bias": (4,),
    "slot/adam/last_kernel_velocity": (4, 3),
    "update/last/kernel": (4, 3),
    "weight/last/kernel": (4, 3),
}


def draw(seed):
    random = np.random.default_rng(seed)
    return {name: random.standard_normal(shape) for name, shape in SHAPES.items()}


def runs(seed=0, noise32=4 * U32, noise64=30 * U64):
    """Return the same values on each backend, rounded by chance, in float64 and in float32."""
    random, plain = np.random.default_rng([seed, 1]), draw(seed)

    def rounded(noise):
        return {
            backend: {
                name: value * (1 + noise * random.uniform(-1, 1, value.shape))
                for name, value in plain.items()
            }
            for backend in BACKENDS
        }

    exact = rounded(noise64)
    single = {
        backend: {
            name: value * (1 + noise32 * random.uniform(-1, 1, value.shape))
            for name, value in arrays.items()
        }
        for backend, arrays in exact.items()
    }
    return exact, single


def departures(judgement):
    return [one.quantity for one in judgement.mathematics if one.state != "agree"]


@given(st.integers(0, 2**32))
def test_backends_that_round_differently_agree(seed):
    judgement = judge_model(*runs(seed))
    assert departures(judgement) == []
    assert not [one for one in judgement.kernels if one.departs]
    assert judgement.amplified is None


@given(
    st.integers(0, 2**32),
    st.sampled_from(BACKENDS),
    st.sampled_from(sorted(SHAPES)),
    st.floats(1e-7, 1.0),
)
def test_a_slip_of_one_backend_is_blamed_on_it_at_its_quantity(seed, backend, quantity, size):
    exact, single = runs(seed)
    for arrays in (exact[backend], single[backend]):
        arrays[quantity] = arrays[quantity] * (1 + size)
    judgement = judge_model(exact, single)
    first = judgement.first_departure(backend)
    assert first.quantity == quantity
    assert first.apart == (backend,)
    assert first.departure == pytest.approx(size, rel=1e-3)
    assert first.departure > 1e3 * first.gate * 0.99
    assert judgement.first_kernel(backend) is None, "its float32 follows its own mathematics"


@given(st.integers(0, 2**32), st.sampled_from(BACKENDS), st.floats(1e-5, 1e-2))
def test_an_error_in_float32_only_is_a_kernels_and_not_the_mathematics(seed, backend, size):
    exact, single = runs(seed)
    single[backend]["output/last"] = single[backend]["output/last"] * (1 + size)
    judgement = judge_model(exact, single)
    assert departures(judgement) == []
    assert judgement.first_kernel(backend).quantity == "output/last"
    assert not [other for other in BACKENDS if other != backend and judgement.first_kernel(other)]


def test_a_gradient_that_float32_loses_on_one_backend_is_a_remark():
    exact, single = runs()
    single["jax"]["gradient/last/kernel"] = single["jax"]["gradient/last/kernel"] * (1 + 1e-5)
    judgement = judge_model(exact, single)
    assert judgement.first_kernel("jax") is None
    assert {(one.backend, one.quantity) for one in judgement.remarks} == {
        ("jax", "gradient/last/kernel")
    }


def test_half_precision_is_held_to_its_own_rounding():
    unit = 2.0**-11
    judgement = judge_model(*runs(noise32=4 * unit), unit=unit)
    assert not [one for one in judgement.kernels if one.departs]
    assert departures(judgement) == []
    assert judgement.amplified is None


def test_a_model_that_amplifies_rounding_is_said_to_and_blamed_on_nobody():
    """Rounding moves everything by 1e-2 in float32, and so by 1e-11 times a few in float64."""
    judgement = judge_model(*runs(noise32=1e-2, noise64=1e-2 * U64 / U32 * 20))
    assert {one.state for one in judgement.mathematics} <= {"agree", "undecided"}
    assert "undecided" in {one.state for one in judgement.mathematics}
    assert judgement.amplified.error > 1e-4
    assert [judgement.first_departure(backend) for backend in BACKENDS] == [None] * 3


def test_a_slip_stands_out_of_what_a_model_amplifies():
    exact, single = runs(noise32=1e-4, noise64=1e-4 * U64 / U32)
    for arrays in (exact["torch"], single["torch"]):
        arrays["gradient/last/kernel"] = arrays["gradient/last/kernel"] * (1 + 1e-6)
    assert judge_model(exact, single).first_departure("torch").quantity == "gradient/last/kernel"


def test_a_gradient_of_rounding_alone_agrees_though_its_values_are_nothing_alike():
    exact, single = runs()
    for number, arrays in enumerate(exact.values()):
        arrays["gradient/first/bias"] = np.random.default_rng(number).normal(0, 1e-15, 4)
    assert departures(judge_model(exact, single)) == []


@pytest.mark.parametrize(
    "change", [lambda value: value[:-1], lambda value: np.full_like(value, np.nan)]
)
def test_another_shape_and_no_number_depart(change):
    exact, single = runs()
    exact["jax"]["output/last"] = change(exact["jax"]["output/last"])
    assert judge_model(exact, single).first_departure("jax").quantity == "output/last"


def test_two_backends_that_differ_blame_both():
    exact, single = runs()
    del exact["torch"], single["torch"]
    exact["jax"]["output/last"] = exact["jax"]["output/last"] * (1 + 1e-6)
    first = judge_model(exact, single).first_departure("jax")
    assert first.state == "no majority"
    assert first.apart == ("tensorflow", "jax")
