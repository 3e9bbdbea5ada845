"""Live workers that are real processes and do what no worker should. Frameworks: tests/e2e."""

import json
import select
import subprocess
import sys
import time
import traceback
from types import SimpleNamespace

import psutil
import pytest

from harness.engine import disturbance, live
from harness.engine.arms import declared_arms, select_arms
from harness.engine.local import LocalExecutor
from harness.engine.plan import plan
from harness.experiments.bench import plan as sessions
from harness.experiments.bench.session import Room, run_session, unfinished_generations
from harness.job.answers import Started
from harness.records.bench import Bench, Limits, Start, Turn
from harness.spec import config
from tests.unit.benches import HOST
from tests.unit.test_covariates import CLEAN
from tests.unit.test_plan import DATA, ROOT
from tests.unit.test_sitting import START

WHOLE = config.load(ROOT / "backends.toml")
LAX = Limits(others=1.0, steal=1.0, throttled=1.0, clock_s=100.0)  # this machine may be busy

# It answers as a worker does, but for what RUBBISH says of a verb's n-th time; then it sleeps on,
# with its memory.
WORKER = """#!/bin/sh
'''exec' '{python}' "$0" "$@"
'''
import json, os, sys, time
pipe = os.fdopen(int(sys.argv[4]), "wb", buffering=0)
open(os.path.join({folder!r}, f"pid-{{os.getpid()}}"), "w").close()
n_before = len(os.listdir({folder!r})) - 1
turn = dict(seconds=0.1, feed_s=0.0, loss=0.5, accuracy=0.9, n_compiles=0)
turn |= dict(user_s=0.0, system_s=0.0, n_involuntary=0)
evaluated = dict(test_accuracy=0.9, n_epochs=3, memory_bytes={{}})
rates = dict(gemm_flops_per_s=1e9, bandwidth_bytes_per_s=1e9, dispatch_s=1e-6, n_dispatches=1)
answers = dict(start={start!r}, turn=turn, evaluate=evaluated, rates=rates)
def answer(verb):
    rubbish = {rubbish!r} if verb == {verb!r} and n_before == 0 else None
    if rubbish is None:
        rubbish = json.dumps({{"answer": answers[verb]}}).encode() + b"\\n"
    pipe.write(rubbish)
answer("start")
for line in sys.stdin:
    answer(json.loads(line)["do"])
if n_before == 0 and {verb!r} != "rates":
    time.sleep(600)
"""
RUBBISH = {
    "no JSON": b"Epoch 1/5\n",
    "no object": b"[1]\n",
    "no event": b'{"seconds": 1}\n',
    "no bytes of a text": b"\xff\xfe\n",
    "deeper than Python counts": b"[" * 100_000 + b"\n",
    "without an end": b"x" * (2 << 20),
    "another kind": (
        b'{"answer": {"seconds": "soon", "user_s": [], "test_accuracy": 7, "name": 1}}\n'
    ),
    "infinite": b'{"answer": {"seconds": Infinity, "test_accuracy": NaN, "total_s": -1}}\n',
}


@pytest.fixture
def sit_with(tmp_path, monkeypatch):
    """Sit through a session of one generation whose first worker answers a verb with rubbish."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))

    def sit_with(verb, rubbish):
        seen, python = tmp_path / "seen", tmp_path / ".nox" / "train-numpy" / "bin" / "python"
        for folder in (seen, python.parent):
            folder.mkdir(parents=True)
        start = {name: START[name] for name in Started.__dataclass_fields__}
        start["host"] = vars(HOST) | {"accelerators": []}
        given = {"folder": str(seen), "verb": verb, "rubbish": rubbish, "start": start}
        text = WORKER.format(python=sys.executable, **given)
        python.write_text(text)
        python.chmod(0o755)
        whole = WHOLE.model_copy(
            update={"bench": WHOLE.bench.model_copy(update={"generations": 1, "blocks": 2})}
        )
        arms = select_arms(declared_arms(whole), ["numpy/naive"])
        session = sessions.plan_session(whole, "mnist-mlp", DATA, HOST, sessions.Asked(arms))
        session = session.model_copy(
            update={"entrants": session.entrants[:1], "again": "", "limits": LAX}
        )
        (planned,) = plan(whole, "mnist-mlp", arms, DATA)
        alive = []

        def keep(part):
            if isinstance(part, Start) or getattr(part, "status", "") == "failed":
                alive.append(
                    [pid for file in seen.iterdir() if psutil.pid_exists(pid := int(file.name[4:]))]
                )

        bench, outcome = run_session(
            Bench(session=session),
            Room(LocalExecutor(tmp_path, whole.backends), lambda *_: planned, keep),
        )
        return bench, outcome, alive, [int(file.name[4:]) for file in seen.iterdir()]

    return sit_with


@pytest.mark.parametrize("rubbish", RUBBISH.values(), ids=RUBBISH)
@pytest.mark.parametrize("verb", ["start", "turn", "evaluate"])
def test_a_worker_that_answers_rubbish_is_gone_before_the_next_one_starts(sit_with, verb, rubbish):
    bench, outcome, alive, pids = sit_with(verb, rubbish)
    assert (outcome, unfinished_generations(bench)) == ("complete", [])
    assert len(pids) == 2 or (verb == "evaluate" and len(pids) == 1), (
        "none is needed after the last block"
    )
    assert all(len(each) <= 1 for each in alive), "never two of one arm at once"
    assert alive[-2] == [] or alive[-1] == [], "where its end is kept, it has ended"
    assert not any(psutil.pid_exists(pid) for pid in pids)
    (reason,) = [each.reason for each in (*bench.starts, *bench.ends) if each.status == "failed"]
    assert reason.startswith("what it said is no ")
    assert len(reason) <= 300


@pytest.mark.parametrize("rubbish", RUBBISH.values(), ids=RUBBISH)
def test_rates_that_are_rubbish_cost_nothing_that_was_trained_and_the_worker_is_gone(
    sit_with, rubbish
):
    bench, outcome, _, pids = sit_with("rates", rubbish)
    assert outcome == "complete"
    assert [(end.status, end.test_accuracy, end.rates) for end in bench.ends] == [("ok", 0.9, None)]
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_turn_is_waited_for_five_frames_below_the_session_at_most(sit_with, monkeypatch):
    waits = []

    def wait(*arguments):
        names = [each.name for each in traceback.extract_stack()[:-1]]
        waits.append(names[names.index("run_session") :])
        return select.select(*arguments)

    monkeypatch.setattr(live, "select", SimpleNamespace(select=wait))
    sit_with("rates", None)
    turns = [names for names in waits if "take_turn" in names]
    assert turns
    assert max(map(len, turns)) <= 5


BURN = "import time; end = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"
TURNING = """
import json, resource, subprocess, sys
from harness.job.answers import Epoch
from harness.worker.jobs import live
BURN = {burn!r}
def burn(seconds):
    return subprocess.Popen([sys.executable, "-c", BURN.format(seconds=seconds)])
class Trainer(live.Trainer):
    def __init__(self):
        self.lasting = None
    def train(self):
        {body}
        return Epoch(seconds=0.0, feed_s=0.0, loss=0.5, accuracy=0.9, n_compiles=0)
trainer = Trainer()
{before}
print(json.dumps({{"has_children": live.has_children()}}), flush=True)
for line in sys.stdin:
    print(json.dumps(vars(trainer.turn())), flush=True)
"""
CHILDREN = {
    "none": ("", "pass"),
    "that end in the turn": ("", "[child.wait() for child in (burn(1), burn(1))]"),
    "that nobody has waited for": ("", "self.lasting = burn(0.7); time.sleep(1.2)"),
    "that live before, in and after the turn": ("trainer.lasting = burn(60)", "time.sleep(1)"),
    "that end in the turn and worked before it": (
        "trainer.lasting = burn(2)",
        "self.lasting.wait()",
    ),
    "that have children": (
        "",
        "subprocess.run([sys.executable, '-c', 'import subprocess, sys; "
        'subprocess.run([sys.executable, "-c",\''
        " + repr(BURN.format(seconds=1)) + '])'])",
    ),
}


@pytest.mark.parametrize("stranger", [False, True], ids=["alone", "beside a stranger"])
@pytest.mark.parametrize(("before", "body"), CHILDREN.values(), ids=CHILDREN)
def test_what_a_worker_s_children_use_is_its_own_and_a_stranger_s_is_not(
    before, body, stranger, tmp_path
):
    """On a machine that others use too, the measure is what the children's seconds are by their own
    account.
    """
    script = TURNING.format(burn=BURN, before=before, body=body).replace(
        "import json,", "import time, json,"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, **pipes) as worker:
        try:
            told = json.loads(worker.stdout.readline())
            burning = before != "" and told["has_children"]
            if burning:
                time.sleep(0.8)
            strange = (
                subprocess.Popen([sys.executable, "-c", BURN.format(seconds=60)])
                if stranger
                else None
            )
            strange_s = sum(psutil.Process(strange.pid).cpu_times()[:2]) if stranger else 0.0
            all_s = sum(psutil.cpu_times()[:3])
            start = disturbance.read_counters(worker.pid, **told)
            worker.stdin.write("turn\n")
            worker.stdin.flush()
            told = json.loads(worker.stdout.readline())
            has_children = told.pop("has_children")
            turn = Turn(
                **CLEAN | told | disturbance.changes_since(start, told, has_children=has_children)
            )
            all_s = sum(psutil.cpu_times()[:3]) - all_s
            if stranger:
                strange_s = sum(psutil.Process(strange.pid).cpu_times()[:2]) - strange_s
        finally:
            for child in psutil.Process(worker.pid).children(recursive=True):
                child.kill()
            worker.kill()
            if stranger:
                strange.kill()
                strange.wait()
    assert has_children == (before == "trainer.lasting = burn(60)" or "lasting = burn(0.7)" in body)
    if body == "pass":
        assert turn.children_s == 0.0
        return
    assert 0.05 < turn.children_s <= 2.2 * turn.around_s, (
        "what they use, and nothing from before the turn"
    )
    assert turn.others_s >= strange_s - 0.1, "a stranger's load is seen"
    assert turn.others_s == pytest.approx(
        all_s - turn.children_s - turn.user_s - turn.system_s - turn.parent_s, abs=0.15
    )
