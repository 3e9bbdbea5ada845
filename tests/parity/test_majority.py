"""Without a referee: who is apart from the others, from which quantity on."""

import numpy as np
import pytest

from harness.experiments.parity.model_document import compose, sentences
from harness.experiments.parity.model_evidence import Evidence
from harness.experiments.parity.model_judge import make_record
from harness.experiments.parity.model_plan import ModelPlan, parse_target, plan_model_check
from harness.experiments.parity.model_verdict import Verdicts
from harness.referee import majority
from harness.referee.oracle import UNIT
from harness.report.renderers import render
from tests.parity.user_models import CONFIG, NOW, answer

RANDOM = np.random.default_rng(8)
PLAIN = {
    "output/first": RANDOM.standard_normal((6, 4)).astype(np.float32),
    "output/last": RANDOM.standard_normal((6, 3)).astype(np.float32),
    "loss": np.asarray(1.25),
    "gradient/last/kernel": RANDOM.standard_normal((4, 3)).astype(np.float32),
    "gradient/first/bias": RANDOM.standard_normal(4).astype(np.float32),
    "slot/adam/iteration": np.asarray(1),
    "slot/adam/last_kernel_velocity": RANDOM.random((4, 3)).astype(np.float32),
    "update/last/kernel": RANDOM.standard_normal((4, 3)).astype(np.float32),
    "weight/last/kernel": RANDOM.standard_normal((4, 3)).astype(np.float32),
}
NOISE = dict.fromkeys(PLAIN, 2 * UNIT)


def heard(*backends, **changed):
    """The same values for each backend; `changed` is by backend {quantity: function}."""
    arrays = {backend: dict(PLAIN) for backend in backends}
    for backend, quantities in changed.items():
        arrays[backend] |= {name: change(PLAIN[name]) for name, change in quantities.items()}
    return arrays


def judged(arrays, noise=NOISE):
    return majority.compare_backends(arrays, noise, n_samples=6)


def departures(found):
    return [(one.quantity, one.state, one.apart) for one in found if one.state != "agree"]


def scaled(by):
    return lambda value: (value * by).astype(value.dtype)


def verdicts(found, failures=None, backends=("tensorflow", "jax", "torch")):
    what = plan_model_check("tests/e2e/models/departing.py:build", None, backends, CONFIG)
    failed = failures or {}
    answers = {name: answer(failure=failed.get(name, "")) for name in backends}
    evidence = (Evidence("0 updates", majority=tuple(found)),)
    return make_record(what, Verdicts(answers, evidence), {}, NOW, 1.0)


def test_the_same_values_agree_with_a_finite_margin_only_where_something_differs():
    found = judged(heard("tensorflow", "jax", "torch"))
    assert departures(found) == []
    assert len(found) == len(PLAIN)
    assert all(one.margin == float("inf") for one in found)


def test_rounding_within_eight_times_the_noise_agrees():
    found = judged(heard("tensorflow", "jax", "torch", jax={"output/first": scaled(1 + 10 * UNIT)}))
    assert departures(found) == []
    assert min(one.margin for one in found) == pytest.approx(1.6, rel=0.2)


@pytest.mark.parametrize("quantity", [name for name in PLAIN if PLAIN[name].ndim])
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_one_backend_that_is_apart_is_named_at_that_quantity(quantity, backend):
    found = judged(heard("tensorflow", "jax", "torch", **{backend: {quantity: scaled(1 + 1e-4)}}))
    assert departures(found) == [(quantity, "depart", (backend,))]


def test_the_first_quantity_in_order_is_blamed_and_the_later_ones_are_counted():
    changes = {"output/last": scaled(1.5), "gradient/last/kernel": scaled(1.5)}
    found = verdicts(judged(heard("tensorflow", "jax", "torch", torch=changes)))
    assert found.verdict == "departs"
    assert [each.verdict for each in found.backends] == ["agrees", "agrees", "departs"]
    assert found.reason.startswith(
        "torch: output/last: 0.5 of its size away from tensorflow and jax; scale 1.5; gate "
    )
    assert found.reason.endswith("so do, later, gradient/last/kernel")
    assert sentences(found)[-1] == "tensorflow and jax agree"


def test_a_sum_where_a_mean_is_due_is_said():
    found = judged(heard("tensorflow", "jax", "torch", jax={"gradient/last/kernel": scaled(6)}))
    (one,) = (one for one in found if one.state == "depart")
    assert "scale 6: a sum over 6 where a mean is due" in one.explanation


def test_one_column_that_is_wrong_is_named():
    def bend(value):
        value = value.copy()
        value[:, 2] += 1
        return value

    arrays = {
        name: {"output/wide": np.ones((5, 40), np.float32)}
        for name in ("tensorflow", "jax", "torch")
    }
    arrays["jax"]["output/wide"] = bend(arrays["jax"]["output/wide"])
    (one,) = judged(arrays, {})
    assert one.apart == ("jax",)
    assert "in column 2 of 40" in one.explanation


def test_where_all_three_differ_there_is_no_majority():
    found = judged(
        heard(
            "tensorflow",
            "jax",
            "torch",
            jax={"output/last": scaled(1.1)},
            torch={"output/last": scaled(0.9)},
        )
    )
    assert departures(found) == [("output/last", "no majority", ("tensorflow", "jax", "torch"))]
    assert verdicts(found).verdict == "differ"


def test_two_that_differ_have_no_majority():
    found = judged(heard("jax", "torch", torch={"output/last": scaled(1.1)}))
    assert [one.state for one in found if one.state != "agree"] == ["no majority"]
    whole = verdicts(found, backends=("jax", "torch"))
    assert [each.verdict for each in whole.backends] == ["differ", "differ"]
    assert "torch: 0.095 of its size away from jax; scale 1.1" in sentences(whole)[1]


def test_after_no_majority_nobody_is_blamed():
    changes = {
        "jax": {"output/first": scaled(1.1)},
        "torch": {"output/first": scaled(0.9), "output/last": scaled(2)},
    }
    whole = verdicts(judged(heard("tensorflow", "jax", "torch", **changes)))
    assert whole.verdict == "differ"


def test_not_finite_on_one_side_is_a_failure_of_that_side_by_name():
    whole = verdicts(
        judged(
            heard(
                "tensorflow",
                "jax",
                "torch",
                jax={"output/last": lambda value: value * np.float32("nan")},
            )
        )
    )
    assert whole.verdict == "failed"
    assert [each.verdict for each in whole.backends] == ["agrees", "failed", "agrees"]
    assert whole.reason == "jax: output/last: 18 of 18 elements are not finite"


def test_not_finite_on_every_side_is_no_agreement():
    bad = {"output/last": lambda value: value * np.float32("inf")}
    whole = verdicts(
        judged(heard("tensorflow", "jax", "torch", tensorflow=bad, jax=bad, torch=bad))
    )
    assert {each.verdict for each in whole.backends} == {"failed"}
    assert whole.backends[0].reason.endswith("not finite; on every backend")


@pytest.mark.parametrize("change", [lambda value: value[:, :2], lambda value: value[..., None]])
def test_another_shape_is_a_departure(change):
    found = judged(heard("tensorflow", "jax", "torch", jax={"output/last": change}))
    assert departures(found) == [("output/last", "depart", ("jax",))]
    explanation = next(one.explanation for one in found if one.state == "depart")
    assert "expected shape (6, 3), as of tensorflow and torch" in explanation


def test_a_quantity_that_one_backend_lacks_or_has_besides_is_a_departure():
    arrays = heard("tensorflow", "jax", "torch")
    del arrays["torch"]["output/first"]
    arrays["jax"]["output/other"] = PLAIN["output/first"]
    assert {(one.quantity, one.apart) for one in judged(arrays) if one.state != "agree"} == {
        ("output/first", ("torch",)),
        ("output/other", ("jax",)),
    }


def test_beyond_even_what_rounding_may_do_it_departs():
    noise = NOISE | {"output/last": 1e-3}
    found = judged(heard("tensorflow", "jax", "torch", jax={"output/last": scaled(1.1)}), noise)
    assert departures(found) == [("output/last", "depart", ("jax",))]


def test_a_cap_holds_whatever_the_floor():
    noise = dict.fromkeys(PLAIN, 1e9)
    assert all(
        one.gate <= max(majority.CAPS.values())
        for one in judged(heard("tensorflow", "jax", "torch"), noise)
    )


def test_a_gradient_that_is_zero_but_for_rounding_is_held_to_the_whole_gradient():
    noise = {
        backend: (RANDOM.standard_normal(4) * 1e-9).astype(np.float32)
        for backend in ("tensorflow", "jax", "torch")
    }
    arrays = heard("tensorflow", "jax", "torch")
    for backend, value in noise.items():
        arrays[backend]["gradient/first/bias"] = value
    assert departures(judged(arrays)) == []


def test_slots_are_measured_by_their_own_kind_and_not_by_the_count_of_updates():
    arrays = heard("tensorflow", "jax", "torch")
    for backend in arrays:
        arrays[backend]["slot/adam/last_kernel_velocity"] = PLAIN[
            "slot/adam/last_kernel_velocity"
        ] * np.float32(1e-9)
    arrays["jax"]["slot/adam/last_kernel_velocity"] = PLAIN[
        "slot/adam/last_kernel_velocity"
    ] * np.float32(1.001e-9)
    assert departures(judged(arrays)) == [("slot/adam/last_kernel_velocity", "depart", ("jax",))]


def test_a_backend_that_failed_leaves_the_others_to_be_compared():
    found = judged(heard("tensorflow", "jax"))
    whole = verdicts(found, {"torch": "build raised ValueError: no (my_model.py:3)"})
    assert whole.verdict == "failed"
    assert sentences(whole)[1:] == [
        "torch failed: build raised ValueError: no (my_model.py:3)",
        "tensorflow and jax agree",
    ]
    assert 'errors="1"' in render(compose(whole), "junit")
    assert "<error message=" in render(compose(whole), "junit")


def test_one_backend_alone_is_no_agreement():
    whole = verdicts((), {"torch": "no", "jax": "no"})
    assert {each.backend: each.verdict for each in whole.backends} == {
        "tensorflow": "undecided",
        "jax": "failed",
        "torch": "failed",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no_colon.py", "expected FILE:FUNCTION"),
        ("missing.py:build", "cannot be read"),
        ("tests/e2e/models/departing.py:biuld", "Did you mean 'build'?"),
        ("README.md:build", "not valid Python"),
    ],
)
def test_a_target_that_cannot_be_is_refused_before_anything_runs(text, said):
    with pytest.raises(Exception, match="--model: ") as caught:
        parse_target("--model", text)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("backends", [("jax",), ("jax", "jax"), ("numpy", "jax")])
def test_fewer_than_two_backends_with_keras_are_refused(backends):
    with pytest.raises(Exception, match=r"expected (at least two|one) of tensorflow, jax, torch"):
        plan_model_check("tests/e2e/models/departing.py:build", None, backends, CONFIG)


def test_all_backends_with_keras_are_compared_where_none_is_named():
    found = plan_model_check("tests/e2e/models/departing.py:build", None, (), CONFIG)
    assert isinstance(found, ModelPlan)
    assert list(found.backends) == ["tensorflow", "jax", "torch"]
