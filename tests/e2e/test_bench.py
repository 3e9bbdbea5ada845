"""`harness bench` with real processes: what is kept, resumed after a kill, and never counted."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from harness.experiments.bench.judge import summarize
from harness.experiments.bench.remaining import missing_blocks, unfinished_generations
from harness.records import sessions, store
from tests.e2e.conftest import workers

PLAIN = ("--dataset", "digits", "--blocks", "2")
SMALL = (*PLAIN, "--no-parity")


@pytest.fixture
def small(project):
    """A project whose first spec is a small network: what is tried here is the session, not the
    arms.
    """
    whole = (project.root / "backends.toml").read_text()
    whole = whole.replace(
        '{ name = "hidden", units = 512, activation = "relu" }',
        '{ name = "hidden", units = 8, activation = "relu" }',
    )
    (project.root / "backends.toml").write_text(
        re.sub(r"^(\[bench\]\narms) = \[.*?\]", r'\1 = ["naive"]', whole, flags=re.MULTILINE)
    )
    return project


def only(project):
    (found,) = sessions.load_all(project.results).sessions
    return found


def until(true, limit_s=120.0):
    """Wait until something is so."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, "it never came so far"
        time.sleep(0.02)


def is_alive(worker):
    return psutil.pid_exists(worker.pid) and worker.is_running()


def n_blocks(project):
    return sum(len(bench.blocks) for bench in sessions.load_all(project.results).sessions)


def session_file(project):
    (file,) = project.results.glob("bench/*.jsonl")
    return file


def leave_out(project, beginning):
    """Take the first line that begins so out of the session's file."""
    file = session_file(project)
    lines = file.read_text().splitlines(keepends=True)
    lines.remove(next(line for line in lines if line.startswith(beginning)))
    file.write_text("".join(lines))


def block_id(block):
    return block.generation, block.block, block.attempt


def check_ids(bench):
    """Every block of the plan is there, valid once at most, each attempt once, and each process of
    it is known by its start.
    """
    session = bench.session
    ids = [(block.generation, block.block) for block in bench.blocks]
    assert set(ids) == {
        (g, b) for g in range(1, session.n_generations + 1) for b in range(1, session.n_blocks + 1)
    }
    assert unfinished_generations(bench) == []
    attempts = [(block.generation, block.block, block.attempt) for block in bench.blocks]
    assert len(set(attempts)) == len(attempts)
    valid = [(block.generation, block.block) for block in bench.blocks if not block.invalid]
    assert len(set(valid)) == len(valid), "what counts counts once"
    starts = {
        (start.generation, start.name, start.process)
        for start in bench.starts
        if start.status == "ok"
    }
    for block in bench.blocks:
        assert {
            (block.generation, name, number) for name, number in block.processes.items()
        } <= starts


def test_a_session_is_kept_part_by_part_and_told_in_a_table(small):
    ended = small.run(
        "bench",
        "numpy/naive,jax/keras",
        "--baseline",
        "numpy/naive",
        "--generations",
        "2",
        *SMALL,
    )
    assert ended.returncode == 3, ended.stdout + ended.stderr
    bench = only(small)
    check_ids(bench)
    names = ["jax/keras", "numpy/naive", "numpy/naive again"]
    assert sorted(entrant.name for entrant in bench.session.entrants) == names
    assert all(sorted(block.order) == names for block in bench.blocks)
    assert len({block.order for block in bench.blocks}) > 1
    for end in bench.ends:
        assert end.status == "ok"
        assert end.n_epochs == 3
        assert end.test_accuracy > 0.5
        assert end.rates.gemm_flops_per_s > 0
        assert end.memory_bytes["peak RSS"] > 10 << 20
    by_seed = {(end.generation, end.name): end.final_weights_sha256 for end in bench.ends}
    assert (
        by_seed[1, "numpy/naive"] == by_seed[1, "numpy/naive again"] != by_seed[2, "numpy/naive"]
    ), "each generation has its own seed"
    for block in bench.blocks:
        for turn in block.turns.values():
            assert turn.n_compiles == 0
            assert turn.parent_s < 0.05 * turn.around_s, "the parent sleeps while a worker trains"
            assert 0 < turn.seconds < turn.around_s
    found = summarize(bench)
    assert {arm.verdict for arm in found.arms} == {"baseline", "inconclusive"}, (
        "two generations make no interval"
    )
    for shown in ("numpy/naive", "jax/keras", "inconclusive"):
        assert shown in ended.stdout
    assert not workers(psutil.Process())


def test_killed_at_any_moment_and_resumed_nothing_is_lost_or_counted_twice(small):
    arguments = ("bench", "numpy/naive", "--generations", "2", *SMALL)
    for n_kept in (1, 3):  # in a block of the first generation, then in one of the second
        process = small.start(*arguments, "--resume")
        until(lambda: n_blocks(small) >= n_kept and len(workers(process)) == 2)  # noqa: B023
        theirs = workers(process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        until(lambda theirs=theirs: not any(map(is_alive, theirs)), 10)
    before = only(small)
    assert unfinished_generations(before)
    assert before.blocks
    ended = small.run(*arguments, "--resume")
    assert "going on with session" in ended.stdout
    bench = only(small)
    check_ids(bench)
    assert set(map(block_id, before.blocks)) <= set(map(block_id, bench.blocks))
    for part in before.blocks:
        assert part in bench.blocks, "what was measured before stays as it was"
    assert max(start.process for start in bench.starts) > 1


@pytest.mark.long
def test_killed_between_a_generation_s_last_block_and_its_ends_the_ends_are_made_good(small):
    arguments = ("bench", "numpy/naive", "--generations", "1", *SMALL)
    small.run(*arguments)
    leave_out(small, '{"kind":"end"')
    before = only(small)
    assert unfinished_generations(before) == [1]
    small.run(*arguments, "--resume")
    bench = only(small)
    assert bench.blocks == before.blocks, "no block is taken again for it"
    assert {end.name for end in bench.ends} == {"numpy/naive", "numpy/naive again"}
    assert {end.test_accuracy for end in bench.ends} == {before.ends[0].test_accuracy}, (
        "the same seed, the same epochs"
    )


def test_what_an_environment_lacks_is_said_before_anything_is_kept(small):
    (small.root / ".nox" / "train-jax").unlink()
    ended = small.run("bench", "jax/naive", *SMALL)
    assert (ended.returncode, ended.stderr.strip()) == (
        2,
        "jax: environment missing. Run: harness setup jax",
    )
    assert not (small.results / "bench").exists()


def test_interrupted_it_shows_what_there_is_and_no_other_measures_one_session_with_it(small):
    process = small.start("bench", "numpy/naive", "--generations", "6", *SMALL)
    until(lambda: n_blocks(small) >= 1)
    second = small.run("bench", "--resume", "--no-parity")
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert second.returncode == 2
    assert "another harness is measuring this session" in second.stderr
    assert process.returncode == 130
    assert "Go on with it: harness bench --resume" in said
    assert "numpy/naive" in said
    assert only(small).sittings[0].outcome == "interrupted"
    assert not re.search("Traceback|Error", said)


def test_a_worker_that_dies_in_its_turn_makes_the_block_invalid_and_it_is_taken_again_whole(small):
    process = small.start("bench", "numpy/naive", "--generations", "1", *SMALL)
    until(lambda: n_blocks(small) >= 1 and len(workers(process)) == 2)
    workers(process)[0].kill()
    process.communicate(timeout=120)
    bench = only(small)
    check_ids(bench)
    assert len([block for block in bench.blocks if "killed by SIGKILL" in block.invalid]) == 1
    (dead,) = [end for end in bench.ends if end.status == "failed"]
    assert "killed by SIGKILL" in dead.reason
    assert {start.process for start in bench.starts if start.name == dead.name} == {1, 2}


@pytest.mark.long
def test_an_arm_that_crashes_three_times_is_set_aside_and_the_rest_goes_on(small):
    small.wrap("train-jax", 'echo "no such instruction" >&2; exit 1')
    ended = small.run(
        "bench",
        "numpy/naive,jax/naive",
        "--baseline",
        "numpy/naive",
        "--generations",
        "2",
        *SMALL,
    )
    bench = only(small)
    check_ids(bench)
    assert [start.process for start in bench.starts if start.name == "jax/naive"] == [1, 2, 3]
    assert list(bench.set_aside) == ["jax/naive"]
    assert all(set(block.turns) == {"numpy/naive", "numpy/naive again"} for block in bench.blocks)
    assert re.search(r"jax/naive.*set aside", ended.stdout)
    assert ended.returncode == 1
    assert "no such instruction" in ended.stdout


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"),
    reason="Linux only: elsewhere no process can be kept from a core",
)
def test_a_core_taken_away_in_a_block_makes_it_invalid(small):
    """On as many cores as there are: one is kept, all others go. From a single one nothing can be
    taken away.
    """
    first, *others = cores = sorted(os.sched_getaffinity(0))
    process = small.start("bench", "numpy/naive", "--generations", "1", *SMALL)
    until(lambda: n_blocks(small) >= 1 and len(workers(process)) == 2)
    for worker in workers(process):
        worker.cpu_affinity([first])
    process.communicate(timeout=300)
    bench = only(small)
    said = "a core was taken away" if others else "a core"
    invalid = [block for block in bench.blocks if said in block.invalid]
    assert bool(invalid) == bool(others)
    assert all(
        f"a core was taken away: 1 of {len(cores)} left" in block.invalid for block in invalid
    )
    assert missing_blocks(bench, 1) == [], "after three attempts a block is given up"


@pytest.mark.long
def test_under_full_load_from_outside_nothing_is_called_faster_or_slower(small):
    n_cores = (
        len(psutil.Process().cpu_affinity())
        if hasattr(psutil.Process, "cpu_affinity")
        else os.cpu_count()
    )
    burn = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n_cores)]
    try:
        ended = small.run(
            "bench",
            "numpy/naive,jax/naive",
            "--generations",
            "1",
            "--budget",
            "100s",
            *SMALL,
        )
    finally:
        for process in burn:
            process.kill()
            process.wait()
    bench = only(small)
    assert bench.blocks
    assert all(block.invalid for block in bench.blocks)
    assert any("other processes used" in block.invalid for block in bench.blocks)
    assert {arm.verdict for arm in summarize(bench).arms} <= {"baseline", "inconclusive"}
    assert ended.returncode == 3
    assert "other processes used" in ended.stdout


def test_a_session_of_another_machine_is_not_gone_on_with(small):
    small.run("bench", "numpy/naive", "--generations", "2", "--stop-after", "1", *SMALL)
    plan = only(small).session
    leave_out(small, '{"kind":"session"')
    store.add(
        small.results,
        plan.model_copy(update={"host": replace(plan.host, machine="Another, 64 cores")}),
    )
    ended = small.run("bench", "numpy/naive", "--resume", "--no-parity")
    assert ended.returncode == 4
    assert "machine: it began with Another, 64 cores; here is" in ended.stderr


def test_workers_are_kept_to_the_cores_named(small):
    first = str(min(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else "0"
    small.run("bench", "numpy/naive", "--generations", "1", "--pin", first, *SMALL)
    assert {start.settings["affinity"] for start in only(small).starts} == {1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("jax/compield",), "arms: expected one of"),
        (
            ("--budget", "soon"),
            "--budget: expected seconds, minutes or hours, as 90s, 10m or 1h; received 'soon'",
        ),
        (("--pin", "999"), "--pin: expected some of "),
        (("--pin", "0,1", "--threads", "1"), "--pin 0,1: names 2 of the cores, and threads = 1"),
        (("--threads", "999"), "--threads: expected at most"),
        (("--show", "--self-check"), "--show: it measures nothing"),
        (("--spec", "nosuch"), "--spec: expected one of"),
        (("--pin", "all"), "--pin: expected numbers of cores, as 0 or 0,1; received 'all'"),
        (
            ("--baseline", "torch/keras", "numpy/naive"),
            "--baseline: expected one of numpy/naive; received 'torch/keras'",
        ),
        (("--show",), "no bench session to show. Run: nox -s bench"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence_before_anything_runs(small, arguments, said):
    ended = small.ask("bench", *SMALL, *arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (small.results / "bench").exists()


def test_a_session_without_parity_says_so_and_is_shown_again_in_every_form(small, tmp_path):
    first = small.run("bench", "numpy/naive", "--generations", "1", *SMALL)
    said = "numpy/naive: parity is not checked, so a time may be that of other numbers"
    assert said in first.stdout
    assert not (small.results / "parity").exists()
    files = {form: tmp_path / f"table.{form}" for form in ("json", "csv", "markdown")}
    options = [part for form, file in files.items() for part in (f"--{form}", str(file))]
    summary = tmp_path / "summary"
    with session_file(small).open("a") as file:
        file.write('{"kind":"block","format":3,')
    ended = small.run("bench", "--show", *options, GITHUB_STEP_SUMMARY=str(summary))
    assert ended.returncode == 3
    assert "torn: the harness was stopped" in ended.stderr
    assert json.loads(files["json"].read_text())
    assert "numpy/naive" in files["csv"].read_text()
    assert files["markdown"].read_text().strip() in summary.read_text()


def test_arms_without_a_verdict_are_checked_before_they_are_timed_and_only_once(small):
    arguments = ("bench", "numpy/naive", "--generations", "1", *PLAIN)
    first = small.run(*arguments)
    assert "parity, quick form: 1 of 1 arms agree" in first.stdout
    assert first.stdout.index("parity, quick form") < first.stdout.index("epoch s"), (
        "before, not after"
    )
    again = small.run(*arguments)
    assert "parity, quick form" not in again.stdout
    assert len(list((small.results / "parity").glob("*.jsonl"))) == 1
    for ended in (first, again):
        assert "agrees (quick)" in ended.stdout
        assert "parity is not checked" not in ended.stdout


def test_a_session_s_machine_is_the_one_that_its_workers_see(small):
    core = min(os.sched_getaffinity(0))
    small.wrap("train-numpy", f'exec taskset -c {core} "$REAL" "$@"')
    ended = small.run("bench", "numpy/naive", "--generations", "1", *SMALL)
    assert ended.returncode in (0, 3), ended.stdout + ended.stderr
    host = only(small).session.host
    assert (host.n_cores, ", 1 core, " in host.machine) == (1, True)
