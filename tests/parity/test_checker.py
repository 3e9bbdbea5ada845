"""Mutants of the checker itself: each way in which a comparison may pass without comparing is a
failure by name.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from harness.engine import local
from harness.engine.process import Ended
from harness.environments.find import Interpreter
from harness.experiments.parity import check, gather
from harness.experiments.parity.judge import find_departures, judge_arm
from harness.job.answers import TraceFile
from harness.job.machine import describe_host
from harness.referee import gates
from harness.referee.gates import error, examine
from harness.referee.loop import examine_loop
from harness.referee.trace import expected_quantities, read_trace
from tests.parity.small import BACKENDS, SPECS, handed_back, planned, reference

FORMS = ("probs", "logits")
WANTED = {form: expected_quantities(SPECS[form], "instrumented") for form in FORMS}
QUANTITIES = [(form, quantity) for form in FORMS for quantity in WANTED[form]]


def step(form="probs", point="init"):
    return reference(form).steps[point, SPECS[form].loss_form]


def trace(form="probs", point="init", program="instrumented"):
    return next(
        each for each in handed_back(form).traces if (each.point, each.program) == (point, program)
    )


def findings(quantities, form="probs", point="init"):
    floors = reference(form).floors[point, SPECS[form].loss_form]
    wanted = expected_quantities(SPECS[form], "instrumented")
    return examine(SPECS[form], step(form, point), quantities, floors, wanted)


def outside(quantities, form="probs"):
    return [finding for finding in findings(quantities, form) if not finding.inside]


@pytest.mark.parametrize("form", FORMS)
def test_a_right_arm_is_inside_every_gate(form):
    arm = judge_arm(reference(form), handed_back(form), planned(form), {})
    assert (arm.verdict, arm.reason, arm.departures) == ("agrees", "", ())


@pytest.mark.parametrize(("form", "quantity"), QUANTITIES)
def test_each_quantity_is_held_to_the_referee_and_not_to_itself(form, quantity):
    right = trace(form).quantities
    wrong = {**right, quantity: right[quantity] * right[quantity].dtype.type(1.01)}
    assert {finding.quantity for finding in outside(wrong, form)} == {quantity}


@pytest.mark.parametrize(
    ("measure", "exact", "received", "expected_error"),
    [
        ("relative", [3.0, 4.0], [3.0, 4.5], 0.1),
        ("column", [[1.0, 1.0], [1.0, 1.0]], [[1.0, 1.1], [1.0, 1.1]], 0.1),
        ("scale", [1.0, 2.0, 3.0], [1.1, 2.2, 3.3], 0.1),
        ("absolute", [1.0, 2.0], [1.0, 1.75], 0.25),
        ("scaled", [10.0, 0.0], [11.0, 0.0], 0.1),
        ("scaled", [0.5, 0.0], [0.6, 0.0], 0.1),
        ("exact", [1.0, 2.0], [1.0, 3.0], 1),
        ("relative", [0.0], [1e-9], np.inf),
    ],
)
def test_each_measure_is_what_it_says(measure, exact, received, expected_error):
    assert error(measure, np.array(received), np.array(exact)) == pytest.approx(expected_error)


def test_slack_takes_off_no_more_than_itself():
    assert error(
        "absolute", np.array([1.3, 2.0]), np.array([1.0, 2.0]), np.array([0.1, 0.1])
    ) == pytest.approx(0.2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("form", "quantity"), QUANTITIES)
def test_what_is_not_finite_is_a_failure_by_name(form, quantity, value):
    wrong = {**trace(form).quantities}
    wrong[quantity] = wrong[quantity].copy()
    wrong[quantity].flat[0] = value
    (found,) = outside(wrong, form)
    assert (found.quantity, found.said) == (
        quantity,
        f"1 of {wrong[quantity].size} elements are not finite",
    )


def test_nan_on_both_sides_is_no_agreement():
    exact = step()
    spoilt = replace(
        exact,
        quantities={**exact.quantities, "losses": np.full_like(exact.quantities["losses"], np.nan)},
    )
    both = {**trace().quantities, "losses": np.full(32, np.nan, np.float32)}
    for received in (both, trace().quantities):
        found = examine(SPECS["probs"], spoilt, received, {}, ("losses",))
        assert not found[0].inside
        assert "not finite" in found[0].said


@pytest.mark.parametrize("quantity", expected_quantities(SPECS["probs"], "instrumented"))
def test_a_missing_quantity_is_a_failure_by_name(quantity):
    (found,) = outside(
        {name: value for name, value in trace().quantities.items() if name != quantity}
    )
    assert (found.quantity, found.said) == (quantity, "missing from the trace")


def test_an_empty_trace_is_every_quantity_missing():
    wanted = expected_quantities(SPECS["probs"], "instrumented")
    assert [found.quantity for found in outside({})] == list(wanted)


def test_a_quantity_that_was_not_asked_for_is_a_failure_by_name():
    (found,) = outside({**trace().quantities, "gradient/third/kernel": np.zeros(3, np.float32)})
    assert found.quantity == "gradient/third/kernel"
    assert found.said.startswith("unexpected")


@pytest.mark.parametrize(
    ("quantity", "change"),
    [
        *(
            (name, lambda value: value[..., :1])
            for name in ("hidden/z", "losses", "gradient/hidden/kernel", "weight/output/bias")
        ),
        *(
            (name, lambda value: value[None])
            for name in ("hidden/z", "losses", "loss", "weight/output/bias")
        ),
        *(
            (name, lambda value: value.T.copy())
            for name in ("hidden/z", "gradient/hidden/kernel", "weight/output/kernel")
        ),
    ],
)
def test_another_shape_is_a_failure_by_name_even_where_it_would_broadcast(quantity, change):
    right = trace().quantities
    (found,) = outside({**right, quantity: change(right[quantity])})
    assert (found.quantity, found.said[:14]) == (quantity, "expected shape")


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, bool, np.complex64])
def test_another_dtype_is_a_failure_by_name(dtype):
    right = trace().quantities
    (found,) = outside({**right, "hidden/z": right["hidden/z"].astype(dtype)})
    assert (found.quantity, found.said) == (
        "hidden/z",
        f"expected float32; received {np.dtype(dtype)}",
    )


def test_every_element_of_a_state_is_compared():
    n = sum(value.size for value in reference().points["init"].weights.values())
    compared = [
        found.n_compared
        for found in findings(trace().quantities)
        if found.quantity.startswith("weight/")
    ]
    assert sum(compared) == n == 16 * 8 + 8 + 8 * 10 + 10


@pytest.mark.parametrize("name", ["set/hidden/kernel", "set/output/bias", "set/hidden/bias/square"])
def test_one_bit_of_what_was_set_is_seen(name):
    point = reference().points["adversarial"]
    raw = {**trace(point="adversarial").raw}
    raw[name] = raw[name].copy()
    raw[name].view(np.uint32).flat[0] ^= 1
    faults = read_trace(SPECS["probs"], point, "jax/keras", "instrumented", raw).exact
    assert faults == (f"{name}: 1 of {raw[name].size} elements do not read back as set",)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("set/hidden/kernel", None, "set/hidden/kernel: missing"),
        (
            "set/hidden/kernel",
            np.zeros((8, 16), np.float32),
            "expected float32 (16, 8); received float32 (8, 16)",
        ),
        ("set/third/kernel", np.zeros(1, np.float32), "set/third/kernel: unexpected"),
        ("n_updates", np.asarray(468), "n_updates: expected 469; received 468"),
        ("n_updates", None, "n_updates: expected 469; received None"),
        ("learning_rate", np.float32(0.01), "learning_rate: expected"),
        ("learning_rate", None, "learning_rate: expected"),
    ],
)
def test_what_must_be_equal_to_the_bit_is_a_fault_by_name(name, value, said):
    point = reference().points["adversarial"]
    raw = {key: kept for key, kept in trace(point="adversarial").raw.items() if key != name} | (
        {} if value is None else {name: value}
    )
    found = read_trace(SPECS["probs"], point, "jax/keras", "instrumented", raw)
    assert any(said in fault for fault in found.exact)
    (departure,) = find_departures(reference(), gather.ArmAnswer([found]), "probs", {})[1]
    assert departure.quantity == "inputs"


@pytest.mark.parametrize(
    "change",
    [lambda value: value.T, lambda value: value[:1], lambda value: value[None]],
    ids=["T", "row", "axis"],
)
def test_a_weight_of_another_shape_is_a_failure_by_name(change):
    raw = trace().raw
    found = read_trace(
        SPECS["probs"],
        reference().points["init"],
        "jax/keras",
        "instrumented",
        {**raw, "weight/hidden/kernel": change(raw["weight/hidden/kernel"])},
    )
    (departure,) = find_departures(reference(), gather.ArmAnswer([found]), "probs", {})[1]
    assert departure.quantity == "update/hidden/kernel"
    assert departure.fit.startswith("expected shape (16, 8)")


def test_what_backends_themselves_show_as_noise_never_widens_a_gate_beyond_its_cap():
    spec, exact = SPECS["probs"], step()
    wide = {
        (quantity, check.measure): 1.0
        for quantity in exact.quantities
        for check in gates.CHECKS[gates.kind_of(spec, quantity)]
    }
    wanted = expected_quantities(spec, "instrumented")
    for found in examine(spec, exact, trace().quantities, {}, wanted, wide):
        cap = next(
            check.cap
            for check in gates.CHECKS[gates.kind_of(spec, found.quantity)]
            if check.measure == found.measure
        )
        stored = (
            1e-4 if found.quantity.startswith("update/") else 0.0
        )  # what storing a weight in float32 costs its update
        assert found.gate <= cap + stored


@pytest.mark.parametrize(
    "lost",
    [
        ("instrumented", "init"),
        ("production", "init"),
        ("production", "adversarial"),
        ("loop", "init"),
    ],
)
def test_an_arm_that_leaves_out_what_it_owes_has_failed(lost):
    whole = handed_back()
    some = gather.ArmAnswer(
        [each for each in whole.traces if (each.program, each.point) != lost],
        loops={name: found for name, found in whole.loops.items() if lost != ("loop", name)},
    )
    arm = judge_arm(reference(), some, planned(), {})
    assert (arm.verdict, arm.reason) == (
        "failed",
        f"no trace of {' '.join(lost)}: nothing of it is checked",
    )


def test_an_arm_that_hands_back_nothing_has_failed():
    arm = judge_arm(reference(), gather.ArmAnswer(), planned(), {})
    assert arm.verdict == "failed"
    assert "nothing of it is checked" in arm.reason


def test_a_failed_arm_has_failed_though_all_that_it_owes_is_there():
    arm = judge_arm(
        reference(), replace(handed_back(), failure="its worker was killed"), planned(), {}
    )
    assert (arm.verdict, arm.reason) == ("failed", "its worker was killed")


@pytest.mark.parametrize(
    "quantity", ["loss", "accuracy", "slot/hidden/kernel/square", "weight/output/bias"]
)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda value: None, "missing"),
        (lambda value: value[:1], "expected shape"),
        (lambda value: value * np.nan, "elements are not finite"),
        (lambda value: value * 1.5, ""),
    ],
    ids=["missing", "shape", "NaN", "value"],
)
def test_what_epochs_come_to_is_compared_quantity_by_quantity(quantity, change, said):
    found = dict(handed_back().loops["init"])
    changed = change(found.pop(quantity))
    finding, _ = examine_loop(
        reference().courses["init", "probs"],
        found | ({} if changed is None else {quantity: changed}),
    )
    assert finding.quantity == quantity.replace("weight/", "update/")
    assert said in finding.said


@pytest.mark.parametrize(
    ("wrong", "gate"), [(np.nan, 1.0), (0.0, np.nan), (np.nan, np.nan), (np.inf, 1.0)]
)
def test_what_is_no_number_is_inside_no_gate(wrong, gate):
    assert not gates.Finding("hidden/z", "relative", wrong, gate, 1).inside


def hear(tmp_path, entry=None, points=None, content=None, arrays=None):
    """What comes of one file of a worker's."""
    found, own = gather.ArmAnswer(), reference().points
    if content is not None:
        (tmp_path / "trace.npz").write_bytes(content)
    elif arrays is not None:
        np.savez(tmp_path / "trace.npz", **arrays)
    whole = TraceFile(
        arm="keras",
        program="instrumented",
        point="init",
        file="trace.npz",
        **{"read": own["init"].sha256} | (entry or {}),
    )
    gather._take_entry(found, whole, tmp_path, points or own, reference(), "jax/keras")
    return found


def test_a_trace_is_heard_as_it_was_written(tmp_path):
    found = hear(tmp_path, arrays=trace().raw)
    assert not found.failure
    assert not find_departures(reference(), found, "probs", {})[1]


def test_a_trace_of_other_inputs_is_stale_or_foreign(tmp_path):
    other = replace(reference().points["init"], x=reference().points["init"].x + np.float32(2**-20))
    found = hear(tmp_path, {"read": other.sha256}, arrays=trace().raw)
    assert (
        found.failure
        == "its trace instrumented init is of other inputs than were given: stale or foreign"
    )
    assert not found.traces


@pytest.mark.parametrize(
    "content",
    [None, b"", b"PK\x03\x04 torn", b"\x93NUMPY torn"],
    ids=["absent", "empty", "torn", "no archive"],
)
def test_a_file_that_cannot_be_read_is_a_failure_of_the_arm(tmp_path, content):
    found = hear(tmp_path, content=content)
    assert found.failure.startswith("its trace instrumented init cannot be read")


def test_every_part_of_a_point_is_in_its_digest():
    point = reference().points["adversarial"]
    names = point.arrays()
    for name, value in names.items():
        moved = value + np.asarray(1, value.dtype)
        kind, _, rest = name.partition("/")
        part = {"weight": "weights", "slot": "slots"}.get(kind, kind)
        whole = getattr(point, part)
        other = replace(
            point,
            **{
                part: {**whole, rest: moved}
                if rest
                else (int(moved) if part == "n_updates" else moved)
            },
        )
        assert other.sha256 != point.sha256, name


TRACED = {"versions": {}, "device": "cpu", "settings": {}, "traces": []}
HERE = vars(describe_host()) | {"accelerators": []}


def answered(monkeypatch, **ended):
    """What is heard of a worker that ended so."""
    plain = {
        "returncode": 0,
        "timed_out": False,
        "total_s": 1.0,
        "log": "the last line",
        "last": "trace keras",
        "result": {"host": HERE, "framework": "jax", "answer": TRACED},
    }
    monkeypatch.setattr(local, "run_process", lambda *rest, **more: Ended(**plain | ended))
    monkeypatch.setattr(local, "interpreter_of", lambda *rest: Interpreter(Path("python"), "nox"))
    arm, executor = planned(), local.LocalExecutor(Path(), BACKENDS)
    say = lambda what: None  # noqa: E731
    found = gather.gather_traces((arm,), reference(), executor, say)["jax/keras"]
    return judge_arm(reference(), found, arm, {})


def test_a_worker_of_another_backend_has_failed(monkeypatch):
    arm = answered(monkeypatch, result={"host": HERE, "framework": "torch", "answer": TRACED})
    assert (arm.verdict, arm.reason) == (
        "failed",
        "the worker says that it is 'torch', and was asked to be 'jax'",
    )


def test_a_worker_that_does_not_say_which_backend_it_is_has_failed(monkeypatch):
    arm = answered(monkeypatch, result={"host": HERE, "answer": TRACED})
    assert "asked to be 'jax'" in arm.reason


def test_a_worker_without_a_trace_has_failed(monkeypatch):
    arm = answered(monkeypatch)
    assert (arm.verdict, "no trace" in arm.reason) == ("failed", True)


@pytest.mark.parametrize(
    "ended", [{"returncode": 1}, {"returncode": -9}, {"timed_out": True}], ids=json.dumps
)
def test_an_exit_code_is_not_ignored_though_there_is_a_result(monkeypatch, ended):
    arm = answered(monkeypatch, **ended)
    assert arm.verdict == "failed"
    assert "no trace" not in arm.reason


def test_the_referee_s_products_run_on_one_thread_each(monkeypatch):
    seen = []

    def blas_threads(*given):
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")

    monkeypatch.setattr(check, "_check", blas_threads)
    with threadpool_limits(limits=2, user_api="blas"):
        check.check((), None)
    assert set(seen) == {1}
