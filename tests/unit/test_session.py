"""From what is asked for to a session's plan, and what may not change while it lasts; and how long
what is left will take.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.engine.arms import declared_arms, select_arms
from harness.errors import ConfigError, EnvironmentMissing, NotComparable
from harness.experiments.bench import plan as sessions
from harness.experiments.bench import same_plan
from harness.experiments.bench.forecast import Budget, Forecast
from harness.job.answers import Host
from harness.spec import config

ROOT = Path(__file__).resolve().parents[2]
WHOLE = config.load(ROOT / "backends.toml")
HOST = Host(
    machine="A processor, 2 cores",
    n_cores=2,
    memory_bytes=8 << 30,
    accelerators=(),
    driver=None,
    identity="a" * 64,
    load_1m=0.0,
)


class Dataset:
    """As much of a prepared dataset as a plan needs."""

    name, sha256, n_train, n_inputs, folder = "mnist", "d" * 64, 60_000, 784, Path("nowhere")


def plan_session(arms=(("jax", "keras"), ("jax", "native"), ("torch", "keras")), **changes):
    whole = WHOLE.model_copy(
        update={"bench": WHOLE.bench.model_copy(update={"generations": 6, "blocks": 2})}
    )
    arms = select_arms(declared_arms(WHOLE), map("/".join, arms))
    asked = sessions.Asked(arms, **changes)
    return sessions.plan_session(whole, "mnist-mlp", Dataset, HOST, asked)


def test_the_baseline_is_the_first_arm_or_the_one_named_and_its_code_runs_twice():
    first, named = plan_session(), plan_session(baseline="torch/keras")
    assert (first.baseline, first.again, first.original) == (
        "jax/keras",
        "jax/keras again",
        "jax/keras",
    )
    assert [entrant.name for entrant in named.entrants] == [
        "jax/keras",
        "jax/native",
        "torch/keras",
        "torch/keras again",
    ]
    twin, again = (
        next(each for each in named.entrants if each.name == name)
        for name in ("torch/keras", "torch/keras again")
    )
    assert twin.model_copy(update={"name": again.name}) == again
    with pytest.raises(
        ConfigError,
        match=(
            r"--baseline: expected one of jax/keras, jax/native, torch/keras; received "
            r"'tensorflow/keras'"
        ),
    ):
        plan_session(baseline="tensorflow/keras")


def test_of_each_backend_one_arm_runs_twice_where_that_is_asked_for():
    arms = (
        ("jax", "native"),
        ("jax", "keras"),
        ("torch", "compiled"),
        ("torch", "keras"),
        ("tensorflow", "keras"),
    )
    found = plan_session(arms, baseline="jax/keras", aa="each")
    assert (found.again, found.repeats) == (
        "jax/keras again",
        ("torch/compiled again", "tensorflow/keras again"),
    )
    assert found.duplicates == tuple(entrant.name for entrant in found.entrants[len(arms) :])
    twin, original = (
        next(each for each in found.entrants if each.name == f"torch/compiled{end}")
        for end in (" again", "")
    )
    assert twin.model_copy(update={"name": original.name}) == original
    assert (plan_session(arms).repeats, plan_session(arms[:2], aa="each").repeats) == ((), ())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"host": replace(HOST, machine="Another")},
            "machine: it began with A processor, 2 cores; here is Another",
        ),
        (
            {"dataset": type("Digits", (Dataset,), {"name": "digits"})},
            "dataset: it began with mnist dddddddd; here is digits",
        ),
        (
            {"host": replace(HOST, identity="b" * 64)},
            "machine: it began on another one of the same description",
        ),
        ({"harness": "0.0.1"}, "harness: it began with 0.0.1"),
        ({"spec": "mnist-mlp-adam"}, "spec mnist-mlp"),
        ({"module": "naive.jax"}, "jax/keras: it began with"),
    ],
)
def test_a_session_goes_on_only_with_what_it_began_with(changes, said):
    session = plan_session(arms=[("jax", "keras")])
    if "harness" in changes:
        session = session.model_copy(update={"harness": changes["harness"]})
    if "spec" in changes:
        session = session.model_copy(update={"spec": WHOLE.specs[changes["spec"]]})
    if "module" in changes:
        entrants = tuple(
            entrant.model_copy(update={"module": changes["module"]}) for entrant in session.entrants
        )
        session = session.model_copy(update={"entrants": entrants})
    with pytest.raises(NotComparable, match=said) as refused:
        sessions.requests(
            session, WHOLE, changes.get("dataset", Dataset), changes.get("host", HOST)
        )
    assert refused.value.exit_code == 4


@pytest.mark.parametrize("gone", ["backend", "arm"])
def test_a_session_whose_backend_or_arm_has_left_backends_toml_does_not_go_on(gone):
    session = plan_session(arms=[("jax", "keras"), ("torch", "native")])
    arms = {name: arm for name, arm in WHOLE.backends["torch"].arms.items() if name != "native"}
    backends = {name: backend for name, backend in WHOLE.backends.items() if name != "torch"}
    if gone == "arm":
        backends["torch"] = WHOLE.backends["torch"].model_copy(update={"arms": arms})
    with pytest.raises(
        NotComparable, match=r"torch/native: it began with .+; here is None\. Begin a new one"
    ) as refused:
        same_plan.check_possible(session, WHOLE.model_copy(update={"backends": backends}), ROOT)
    assert refused.value.exit_code == 4


def test_an_argument_that_contradicts_the_plan_is_refused_and_one_that_repeats_it_is_not():
    session = plan_session()
    same_plan.check_same_plan(
        session, {"--blocks": (2, session.n_blocks), "--spec": (None, session.spec_name)}
    )
    with pytest.raises(
        ConfigError, match=rf"--blocks: session {session.run_id} was planned with 2; received 3"
    ):
        same_plan.check_same_plan(session, {"--blocks": (3, session.n_blocks)})


def test_a_session_goes_on_where_nothing_is_known_of_a_machine_but_its_description():
    session = plan_session(arms=[("jax", "keras")])
    sessions.requests(session, WHOLE, Dataset, replace(HOST, identity=None))
    old = session.model_copy(update={"host": replace(HOST, identity=None)})
    sessions.requests(old, WHOLE, Dataset, HOST)


CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def planned_on(cores, threads):
    return plan_session(arms=[("jax", "keras")], cores=cores).model_copy(
        update={"threads": threads}
    )


@pytest.mark.parametrize(
    ("cores", "option"), [((), "--threads"), ((0,), "--pin"), ((0, 1), "--pin")]
)
def test_where_a_system_keeps_no_process_to_its_cores_that_is_what_is_said(
    monkeypatch, cores, option
):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    for threads in (1, 2, 999):
        said = (
            rf"^{option}: this system cannot keep a process to some of its cores\. Leave it out, "
            r"or set threads to auto$"
        )
        with pytest.raises(ConfigError, match=said):
            same_plan.check_possible(planned_on(cores, threads), WHOLE, ROOT)


def test_where_a_system_keeps_no_process_to_its_cores_a_session_without_that_goes_on(
    monkeypatch, tmp_path
):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    (tmp_path / "backends.toml").touch()
    with pytest.raises(EnvironmentMissing):  # the next thing that is looked at
        same_plan.check_possible(planned_on((), "auto"), WHOLE, tmp_path)


@pytest.mark.parametrize(("cores", "threads"), [((0, 1), 1), ((0,), 2), ((0, 1, 2), 2), ((5,), 4)])
def test_cores_and_a_number_of_threads_that_is_another_are_two_things_and_refused(cores, threads):
    said = (
        rf"^--pin {','.join(map(str, cores))}: names {len(cores)} of the cores, and threads = "
        rf"{threads} .* --threads auto$"
    )
    with pytest.raises(ConfigError, match=said):
        same_plan.check_possible(planned_on(cores, threads), WHOLE, ROOT)


@pytest.mark.skipif(CORES is None, reason="this system keeps no process to its cores")
def test_cores_and_as_many_threads_mean_one_thing(tmp_path):
    (tmp_path / "backends.toml").touch()
    with pytest.raises(EnvironmentMissing):  # the next thing that is looked at
        same_plan.check_possible(planned_on(tuple(CORES[:1]), 1), WHOLE, tmp_path)


# How long it will take


@pytest.fixture
def clock(monkeypatch):
    now = [50.0]
    monkeypatch.setattr("harness.experiments.bench.forecast.time.monotonic", lambda: now[0])
    return now


def spend(forecast, clock, kind, who, seconds):
    with forecast.step(kind, who):
        clock[0] += seconds


def test_what_is_left_is_told_from_the_same_step_of_the_same_arm_or_else_of_the_others(clock):
    forecast = Forecast()
    assert forecast.left_s([("turn", "a", 3)]) is None, "before anything was done nothing is known"
    for seconds in (1.0, 2.0, 9.0):
        spend(forecast, clock, "turn", "a", seconds)
    spend(forecast, clock, "start", "b", 5.0)
    assert forecast.left_s([("turn", "a", 3)]) == 6.0
    assert forecast.left_s([("turn", "b", 1), ("start", "b", 2)]) == 2.0 + 10.0
    assert forecast.left_s([("end", "a", 1)]) == 3.5, (
        "of a kind that has not been seen: the median of all"
    )


def test_no_more_is_left_than_the_budget_leaves_and_only_steps_are_busy(clock):
    forecast = Forecast(Budget(20.0))
    spend(forecast, clock, "turn", "a", 6.0)
    clock[0] += 4.0
    assert (forecast.elapsed_s, forecast.busy_s) == (10.0, 6.0)
    assert forecast.left_s([("turn", "a", 100)]) == 10.0
