"""What is said of a model that came back from a file: equal to the bit, or which array is not, and
never a pass by omission.
"""

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from harness.engine.arms import declared_arms, select_arms
from harness.engine.plan import plan
from harness.errors import ConfigError
from harness.experiments.parity import document as report
from harness.experiments.parity import round_trip
from harness.job.answers import LoadedModel, LoadedModels, Refusal, SavedModel
from harness.records.parity import FORMS, Parity, RoundTrip
from harness.referee import differences
from harness.referee.fixtures import Point
from harness.report import terminal
from harness.report.renderers import render
from harness.spec import config
from harness.spec.data.mnist import Prepared
from tests.parity.small import check_with
from tests.unit.records import record

WHOLE = config.load(Path(__file__).resolve().parents[2] / "backends.toml")
SETTINGS = {"hidden": {"units": 3}, "optimizer": {"rho": 0.9}}
KERNEL, BIAS = np.arange(6, dtype=np.float32).reshape(2, 3), np.full(3, 0.5, np.float32)
POINT = Point(
    "adversarial",
    {"a/kernel": KERNEL, "a/bias": BIAS},
    {"a/kernel/square": KERNEL + 1},
    468,
    np.zeros((1, 2)),
    np.zeros(1, int),
)
EXPECTED = round_trip.expected_arrays(POINT, 5e-4)
SAVED = round_trip.Saved({form: f"model{form}" for form in FORMS}, SETTINGS, framework="torch")


def held(tmp_path, **changes):
    """A file of what was read back, with these changes to it; None leaves an array out."""
    arrays = EXPECTED | {name.replace("__", "/"): value for name, value in changes.items()}
    file = tmp_path / "held.npz"
    np.savez(file, **{name: value for name, value in arrays.items() if value is not None})
    return str(file)


def saved_model(held, **changes):
    plain = {"files": SAVED.files, "held": held, "configuration": SETTINGS, "warned": ()}
    return SavedModel(**plain | changes)


def loaded(tmp_path, *, forms=FORMS, saved=SAVED, entry=None, **changes):
    """The verdicts on a worker's answer."""
    same = {"warned": (), "held": held(tmp_path, **changes), "configuration": SETTINGS}
    same |= entry or {}
    answer = LoadedModels(
        loaded=tuple(LoadedModel(saved_by="jax", form=form, **same) for form in forms)
    )
    return list(round_trip.judge_loaded(answer, "jax", saved, "torch", EXPECTED))


def said(*arguments, **changes):
    """The one verdict and reason that both forms have."""
    trips = loaded(*arguments, **changes)
    assert [trip.form for trip in trips] == list(FORMS)
    ((verdict, reason),) = {(trip.verdict, trip.reason) for trip in trips}
    return verdict, reason


def test_what_comes_back_to_the_bit_agrees_and_says_how_much_was_compared(tmp_path):
    trips = loaded(tmp_path)
    assert {(trip.verdict, trip.reason, trip.n_compared) for trip in trips} == {
        ("agrees", "", 6 + 3 + 6 + 2)
    }


def test_the_count_of_updates_may_be_of_another_integer_type(tmp_path):
    assert said(tmp_path, n_updates=np.asarray(468, np.int32))[0] == "agrees"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"weight__a__bias": np.nextafter(BIAS, 1)}, "weight/a/bias: 3 of 3 elements differ"),
        (
            {"weight__a__kernel": KERNEL * np.where(KERNEL == 0, np.float32(-1), np.float32(1))},
            "weight/a/kernel: 1 of 6 elements differ",
        ),
        (
            {"weight__a__kernel": KERNEL.T},
            "weight/a/kernel: expected float32 (2, 3); received float32 (3, 2)",
        ),
        (
            {"weight__a__bias": BIAS.astype(np.float64)},
            "weight/a/bias: expected float32 (3,); received float64 (3,)",
        ),
        ({"weight__a__bias": BIAS * np.nan}, "weight/a/bias: 3 of 3 elements are not finite"),
        ({"weight__b__bias": BIAS}, "weight/b/bias: unexpected"),
        ({"slot__a__kernel__square": None}, "slot/a/kernel/square: missing"),
        (
            {"slot__a__kernel__square": np.zeros_like(KERNEL)},
            "slot/a/kernel/square: 6 of 6 elements differ",
        ),
        ({"n_updates": np.asarray(0)}, "n_updates: expected 468; received 0"),
        (
            {"learning_rate": np.float32(1e-3)},
            f"learning_rate: expected {np.float32(5e-4)}; received {np.float32(1e-3)}",
        ),
    ],
)
def test_whatever_is_not_equal_departs_by_name(tmp_path, changes, reason):
    assert said(tmp_path, **changes) == ("departs", reason)


def test_not_a_number_on_both_sides_is_no_equality():
    nothing = {"weight/a": np.full(2, np.nan, np.float32)}
    assert round_trip.find_faults(nothing, nothing) == ["weight/a: 2 of 2 elements are not finite"]


def test_an_empty_file_departs_in_every_array(tmp_path):
    verdict, reason = said(tmp_path, **{name.replace("/", "__"): None for name in EXPECTED})
    assert (verdict, reason) == (
        "departs",
        "weight/a/kernel: missing, weight/a/bias: missing, slot/a/kernel/square: missing and 2 "
        "more",
    )


def test_a_warning_departs_though_every_number_is_equal(tmp_path):
    assert said(tmp_path, entry={"warned": ("Skipping variable loading",)}) == (
        "departs",
        "warned: Skipping variable loading",
    )


def test_other_settings_depart_though_every_number_is_equal(tmp_path):
    entry = {"configuration": SETTINGS | {"optimizer": {"rho": 0.99}}}
    assert said(tmp_path, entry=entry) == ("departs", "optimizer: other settings")
    assert said(tmp_path, entry={"configuration": {}}) == (
        "departs",
        "hidden: other settings, optimizer: other settings",
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Refusal(reason="killed by SIGKILL"), "killed by SIGKILL"),
        (LoadedModels(loaded=()), "the worker handed nothing back of it"),
    ],
)
def test_a_worker_that_hands_nothing_back_is_a_failure_of_both_forms(answer, reason):
    trips = list(round_trip.judge_loaded(answer, "jax", SAVED, "torch", EXPECTED))
    assert [(trip.form, trip.verdict, trip.reason) for trip in trips] == [
        (form, "failed", reason) for form in FORMS
    ]


def test_a_form_that_is_missing_fails_and_the_other_is_still_judged(tmp_path):
    assert [(trip.form, trip.verdict) for trip in loaded(tmp_path, forms=FORMS[1:])] == [
        (".keras", "failed"),
        (".weights.h5", "agrees"),
    ]


def test_what_could_not_be_saved_fails_wherever_it_would_be_loaded(tmp_path):
    assert said(tmp_path, saved=round_trip.Saved(failure="save under jax: out of memory")) == (
        "failed",
        "save under jax: out of memory",
    )


def test_a_file_that_keras_cannot_load_is_a_failure_with_its_error(tmp_path):
    assert said(tmp_path, entry={"failure": "OSError: truncated file", "held": ""}) == (
        "failed",
        "OSError: truncated file",
    )


def test_what_was_read_back_and_cannot_be_read_is_no_pass(tmp_path):
    (tmp_path / "torn").write_bytes(b"PK")
    for file in ("torn", "nowhere"):
        verdict, reason = said(tmp_path, entry={"held": str(tmp_path / file)})
        assert verdict == "departs"
        assert reason.startswith("what was read back cannot be read")


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({}, ""),
        ({"files": {".keras": "model.keras"}}, "save under jax: no .weights.h5 came of it"),
        ({"warned": ("not been built",)}, "save under jax: warned: not been built"),
    ],
)
def test_what_is_saved_is_loaded_only_where_it_is_whole(tmp_path, changes, failure):
    answer = saved_model(held(tmp_path), **changes)
    assert round_trip.read_saved(answer, "jax", EXPECTED).failure == failure


def test_what_could_not_be_saved_says_why():
    found = round_trip.read_saved(Refusal(reason="out of memory"), "jax", EXPECTED)
    assert found.failure == "save under jax: out of memory"


def test_a_backend_that_does_not_hold_what_was_given_is_said_before_it_saves(tmp_path):
    answer = saved_model(held(tmp_path, n_updates=np.asarray(0)))
    failure = (
        "save under jax: it does not hold what was given to it: n_updates: expected 468; received 0"
    )
    assert round_trip.read_saved(answer, "jax", EXPECTED) == round_trip.Saved(failure=failure)


def test_a_class_that_load_model_needs_to_be_told_is_a_departure_except_where_that_is_documented(
    tmp_path,
):
    alone = (
        "TypeError: Could not deserialize class 'Adam' because its parent module "
        "keras.src.backend.torch.optimizers.torch_adam"
    )
    assert said(tmp_path, entry={"alone": alone})[0] == "departs", "saved by JAX"
    answer = {
        "failure": "",
        "warned": (),
        "held": held(tmp_path),
        "configuration": SETTINGS,
        "alone": alone,
        "saved_by": "torch",
    }
    trips = {
        (backend, trip.form): trip
        for backend in ("jax", "torch")
        for trip in round_trip.judge_loaded(
            LoadedModels(loaded=tuple(LoadedModel(**answer, form=form) for form in FORMS)),
            "torch",
            SAVED,
            backend,
            EXPECTED,
        )
    }
    assert [key for key, trip in trips.items() if trip.verdict == "agrees"] == [("jax", ".keras")]
    assert trips["jax", ".keras"].alone == alone
    (sentence,) = round_trip.documented(trips.values())
    assert sentence.startswith("round trip torch -> jax .keras: ")
    assert round_trip.documented([]) == []
    assert not differences.is_unportable("torch", "jax", ".keras", "OSError: something else")


@pytest.mark.parametrize(
    ("arms", "trips", "whole"),
    [
        ("agrees", ["agrees", "agrees"], "agrees"),
        ("agrees", ["agrees", "departs"], "departs"),
        ("agrees", ["departs", "failed"], "failed"),
        ("departs", ["agrees"], "departs"),
        ("failed", ["departs"], "failed"),
        ("oracle suspect", ["departs"], "oracle suspect"),
    ],
)
def test_the_worst_of_arms_and_round_trips_is_the_whole_verdict(arms, trips, whole):
    found = [
        RoundTrip(saved_by="jax", loaded_by="torch", form=".keras", verdict=verdict)
        for verdict in trips
    ]
    some = check_with(arms).model_copy(update={"round_trips": tuple(found)})
    assert some.judge() == whole


def test_where_no_arm_is_a_keras_model_there_is_nothing_to_save(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    protocol = config.override_protocol(WHOLE.protocol, epochs=1)
    arms = select_arms(declared_arms(WHOLE), ["jax/naive", "jax/native"])
    some = plan(
        WHOLE.model_copy(update={"protocol": protocol}),
        "mnist-mlp",
        arms,
        Prepared("mnist", "d" * 64, Path("/nowhere"), ""),
    )
    with pytest.raises(ConfigError, match="--arm keras"):
        round_trip.savers(some)


def of(*trips):
    """A parity record with these round trips (saved_by, loaded_by, verdict, reason) and nothing
    else.
    """
    some = record()
    request, found = some.request, [("jax", "jax", "agrees", ""), *trips]
    return Parity(
        harness="0.1.0",
        run_id="some",
        verdict="agrees",
        arms=(),
        round_trips=tuple(
            RoundTrip(saved_by=one, loaded_by=other, form=".keras", verdict=verdict, reason=reason)
            for one, other, verdict, reason in found
        ),
        host=some.host,
        started_at=some.started_at,
        total_s=1,
        **{
            name: getattr(request, name)
            for name in ("spec_name", "spec", "seed", "data", "device", "threads")
        },
    )


def shown(parity):
    console = Console(file=io.StringIO(), width=300)
    terminal.show(report.compose(parity), console)
    return console.file.getvalue()


def test_round_trips_are_one_line_where_all_came_back():
    assert "round trips: 1 of 1 bitwise equal" in shown(of())
    assert "round trip " not in shown(of())
    assert "round trips" not in shown(of().model_copy(update={"round_trips": ()}))


def test_round_trips_that_did_not_come_back_are_named_once_a_reason():
    lines = shown(
        of(
            ("jax", "torch", "departs", "slot: missing"),
            ("torch", "jax", "departs", "slot: missing"),
            ("a", "b", "failed", "no file"),
        )
    )
    assert "round trips: 1 of 4 bitwise equal" in lines
    assert "round trip jax -> torch .keras, torch -> jax .keras: slot: missing" in lines
    assert "round trip a -> b .keras: no file" in lines


def test_each_round_trip_is_a_test_case():
    suite = ET.fromstring(  # noqa: S314 - our own
        render(
            report.compose(
                of(("jax", "torch", "departs", "slot: missing"), ("a", "b", "failed", "no file"))
            ),
            "junit",
        )
    )[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    cases = {
        case.get("name"): [(child.tag, child.get("message")) for child in case] for case in suite
    }
    assert cases == {
        "round trip jax -> jax .keras": [],
        "round trip jax -> torch .keras": [("failure", "slot: missing")],
        "round trip a -> b .keras": [("error", "no file")],
    }
