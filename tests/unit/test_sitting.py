"""A sitting under every fault that real processes show only now and then: its workers are scripted.
Real ones: tests/e2e/test_bench.py.
"""

import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from harness.engine.answers import Nonsense, read_answer
from harness.engine.live import VERBS, Gone
from harness.errors import NotComparable
from harness.experiments.bench import session as launch
from harness.experiments.bench import turns
from harness.experiments.bench.forecast import Budget
from harness.experiments.bench.session import (
    Room,
    closed_blocks,
    missing_blocks,
    run_session,
    unfinished_generations,
)
from harness.job.answers import Started
from harness.records.bench import Bench
from tests.unit import benches

NAMES = ("numpy/naive", "jax/naive", "numpy/naive again")
START = {
    **dict.fromkeys(("spawn_s", "import_s", "data_s", "build_s", "feed_s", "first_epoch_s"), 0.5),
    **dict.fromkeys(("data_sha256", "weights_sha256", "order_sha256"), "d" * 64),
    **dict.fromkeys(("n_compiles", "n_parameters"), 1),
    "device": "cpu",
    "settings": {},
    "versions": {"numpy": "2.4.6"},
    "has_children": False,
    "host": benches.HOST,
    "environment_sha256": None,
}
TURN = {
    "seconds": 0.1,
    "feed_s": 0.0,
    "loss": 0.5,
    "accuracy": 0.9,
    "n_compiles": 0,
    "user_s": 9.0,
    "system_s": 0.0,
    "n_involuntary": 0,
}
RATES = {
    "gemm_flops_per_s": 1e9,
    "bandwidth_bytes_per_s": 1e9,
    "dispatch_s": 1e-6,
    "n_dispatches": 1,
}


@dataclass
class Script:
    """What workers do: `asked` is called with each request before it is answered, and may raise or
    return another answer.
    """

    asked: object = lambda name, verb, n: None
    started: object = lambda name, generation: START
    log: list = field(default_factory=list)  # (entrant, verb)
    parts: list = field(default_factory=list)
    last_s: float = 0.0

    def room(self):
        return Room(self, Scripted, self.parts.append)

    @contextmanager
    def hold(self, job, variables):
        name, generation = job.request
        self.log.append((name, "start"))
        n_epochs = [1]

        def ask(kind):
            verb = VERBS[kind]
            self.log.append((name, verb))
            answer = self.asked(name, verb, Counter(self.log)[name, verb])
            if verb == "turn":
                n_epochs[0] += 1
            evaluated = {
                "test_accuracy": n_epochs[0] / 100,
                "n_epochs": n_epochs[0],
                "memory_bytes": {"peak RSS": 1},
            }
            usual = {"turn": TURN, "evaluate": evaluated, "rates": RATES}[verb]
            try:
                return read_answer(kind, answer or usual)
            except Nonsense as error:
                raise Gone(str(error)) from None

        start = dict(self.started(name, generation))
        content = start.pop("environment_sha256")
        yield SimpleNamespace(
            pid=os.getpid(),
            ask=ask,
            close=lambda: None,
            started=Started(**start),
            total_s=1.0,
            environment_sha256=content,
        )


@dataclass
class Scripted:
    """What is planned of an entrant in a generation."""

    name: str
    generation: int

    def training(self):
        request = (self.name, self.generation)
        return {"backend": "x", "request": request, "dataset": "", "weights": "", "order": ""}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    """Leave this machine's own load out: a turn lasts a millisecond, less than a tick of others.

    No thread spins after a scripted turn, so none is waited for.
    """
    monkeypatch.setattr(launch.limits, "invalid_reason", lambda *rest: "")
    monkeypatch.setattr(turns, "SETTLE_S", 0.0)


@pytest.fixture
def run():
    def run(script, bench=None, **options):
        bench = bench or Bench(session=benches.session(NAMES, n_generations=2, n_blocks=2))
        return run_session(bench, script.room(), **options)

    return run


def at(name, verb, number, raised):
    """Raise something at the n-th time that an entrant is told to do something."""

    def asked(who, what, n):
        if (who, what, n) == (name, verb, number):
            raise raised

    return asked


def assert_whole(bench):
    """Every block valid once, every process ended, nothing twice."""
    valid = [(block.generation, block.block) for block in bench.blocks if not block.invalid]
    assert sorted(valid) == [(generation, block) for generation in (1, 2) for block in (1, 2)]
    assert unfinished_generations(bench) == []
    assert {(end.generation, end.name) for end in bench.ends if end.status == "ok"} == {
        (g, name) for g in (1, 2) for name in NAMES
    }


def test_every_turn_begins_after_a_pause_in_which_the_threads_of_the_last_one_fall_asleep(
    run, monkeypatch
):
    steps, read = [], turns.disturbance.read_counters

    def counters(*given, **options):
        steps.append("turn")
        return read(*given, **options)

    monkeypatch.setattr(turns, "SETTLE_S", 0.2)
    monkeypatch.setattr(turns.time, "sleep", steps.append)
    monkeypatch.setattr(turns.disturbance, "read_counters", counters)
    run(Script())
    assert steps == [0.2, "turn"] * (2 * 2 * len(NAMES))


def test_a_quiet_sitting_measures_the_plan_and_keeps_every_part(run):
    script = Script()
    bench, outcome = run(script)
    assert outcome == "complete"
    assert_whole(bench)
    assert len(script.parts) == 6 + 4 + 6 + 1
    assert {end.test_accuracy for end in bench.ends} == {0.03}, (
        "evaluated after 1 + n_blocks epochs"
    )


@pytest.mark.parametrize("verb", ["turn", "evaluate", "rates"])
@pytest.mark.parametrize("number", [1, 2])
def test_interrupted_at_any_request_and_gone_on_with_the_session_is_whole(run, verb, number):
    bench, outcome = run(Script(asked=at("jax/naive", verb, number, KeyboardInterrupt())))
    assert outcome == "interrupted"
    assert unfinished_generations(bench)
    whole, outcome = run(Script(), bench)
    assert outcome == "complete"
    assert_whole(whole)
    assert whole.blocks[: len(bench.blocks)] == bench.blocks


@pytest.mark.parametrize(("before", "goes_on"), [("a", True), (None, True), ("b", False)])
def test_a_session_goes_on_only_with_the_content_that_its_environments_began_with(
    run, before, goes_on
):
    first = Script(started=lambda *rest: START | {"environment_sha256": before and before * 64})
    bench, _ = run(first, stop_after=1)
    again = Script(started=lambda *rest: START | {"environment_sha256": "a" * 64})
    if goes_on:
        assert run(again, bench)[1] == "complete"
        return
    with pytest.raises(
        NotComparable,
        match=r"its environment began with content bbbbbbbb; here is content aaaaaaaa",
    ):
        run(again, bench)


@pytest.mark.parametrize("verb", ["turn", "evaluate"])
def test_a_worker_that_dies_is_replaced_and_its_block_taken_again(run, verb):
    bench, outcome = run(
        Script(asked=at("jax/naive", verb, 2 if verb == "turn" else 1, Gone("it died")))
    )
    assert outcome == "complete"
    assert sum(end.status == "failed" for end in bench.ends) == 1
    assert sum(bool(block.invalid) for block in bench.blocks) == (verb == "turn")
    assert unfinished_generations(bench) == []


def test_rates_that_cannot_be_measured_cost_neither_the_accuracy_nor_the_arm(run):
    bench, _ = run(Script(asked=at("jax/naive", "rates", 1, Gone("out of memory"))))
    assert_whole(bench)
    assert [end.rates is None for end in bench.ends if end.name == "jax/naive"] == [True, False]
    assert not bench.set_aside


@pytest.mark.parametrize(
    "said", [TURN | {"seconds": float("nan")}, TURN | {"accuracy": 2.0}, {"nonsense": 1}]
)
def test_what_is_no_turn_ends_its_worker_not_the_session(run, said):
    bench, outcome = run(
        Script(
            asked=lambda name, verb, n: (
                said if (name, verb, n) == ("jax/naive", "turn", 2) else None
            )
        )
    )
    assert outcome == "complete"
    assert [
        "what it said is no Turned" in end.reason for end in bench.ends if end.status == "failed"
    ] == [True]


def test_an_arm_that_never_starts_is_set_aside_and_one_whose_worker_dies_three_times_too(run):
    def started(name, generation):
        if name == "jax/naive":
            raise Gone("no such instruction")
        return START

    for script in (
        Script(started=started),
        Script(
            asked=lambda *said: (_ for _ in ()).throw(Gone("x")) if said[0] == "jax/naive" else None
        ),
    ):
        bench, outcome = run(script)
        assert outcome == "complete"
        assert list(bench.set_aside) == ["jax/naive"]
        assert all(
            set(block.turns) == {NAMES[0], NAMES[2]} for block in bench.blocks if not block.invalid
        )


def test_disturbed_three_times_a_block_is_given_up_and_a_later_crash_does_not_open_it_again(
    run, monkeypatch
):
    disturbed = iter([True] * 3 * 3)
    monkeypatch.setattr(
        launch.limits,
        "invalid_reason",
        lambda *rest: "a core was taken away" if next(disturbed, False) else "",
    )
    bench, outcome = run(Script(asked=at("jax/naive", "evaluate", 1, Gone("it died"))))
    assert outcome == "complete"
    assert (1, 1) in closed_blocks(bench)
    attempts = [
        block.attempt
        for block in bench.blocks
        if (block.generation, block.block) == (1, 1) and block.invalid
    ]
    assert attempts == [1, 2, 3]
    assert missing_blocks(bench, 1) == []


def test_a_retaken_block_does_not_lengthen_the_training_that_is_evaluated(run, monkeypatch):
    disturbed = iter([True])
    monkeypatch.setattr(
        launch.limits,
        "invalid_reason",
        lambda *rest: "the clocks disagree" if next(disturbed, False) else "",
    )
    bench, _ = run(Script())
    assert {end.test_accuracy for end in bench.ends} == {0.03}
    assert Counter(block.generation for block in bench.blocks) == {1: 3, 2: 2}


def test_no_generation_begins_that_would_end_after_the_budget_but_the_first(run, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("harness.experiments.bench.forecast.time.monotonic", lambda: now[0])

    def asked(name, verb, n):
        now[0] += 1.0

    plan = Bench(session=benches.session(NAMES, n_generations=4, n_blocks=2))
    for budget_s, n_done in ((1.0, 1), (30.0, 2), (1000.0, 4)):  # 12 s each
        bench, outcome = run(Script(asked=asked), plan, budget=Budget(budget_s))
        assert {block.generation for block in bench.blocks} == set(range(1, n_done + 1))
        assert outcome == ("complete" if n_done == 4 else "budget")
        assert bench.sittings[0].busy_s == pytest.approx(bench.sittings[0].total_s)


@pytest.mark.parametrize(
    ("budget_s", "least", "n_done"),  # a generation takes 12 s
    [(30.0, 3, 3), (30.0, 4, 2), (24.0, 3, 3), (23.9, 3, 1), (30.0, 1, 2), (100.0, 3, 4)],
)
def test_it_goes_on_to_the_least_that_says_anything_where_half_as_long_again_is_enough(
    run, monkeypatch, budget_s, least, n_done
):
    now = [0.0]
    monkeypatch.setattr("harness.experiments.bench.forecast.time.monotonic", lambda: now[0])

    def asked(name, verb, n):
        now[0] += 1.0

    plan = Bench(session=benches.session(NAMES, n_generations=4, n_blocks=2))
    bench, _ = run(Script(asked=asked), plan, budget=Budget(budget_s, least))
    assert {block.generation for block in bench.blocks} == set(range(1, n_done + 1))


def test_it_stops_after_as_many_generations_as_asked(run):
    bench, outcome = run(Script(), stop_after=1)
    assert (outcome, unfinished_generations(bench)) == ("stopped", [2])


def test_an_environment_that_changed_since_the_session_began_is_refused(run):
    bench, _ = run(Script(), stop_after=1)
    with pytest.raises(NotComparable, match=r"numpy/naive.*2\.4\.6.*here is .*3\.0"):
        run(Script(started=lambda *rest: START | {"versions": {"numpy": "3.0"}}), bench)
