"""`harness sweep` with real processes: kept, gone on with after kills, and mapped."""

import itertools
import json
import random
import re
import signal
import time
from datetime import datetime, timedelta

import psutil
import pytest

from harness.experiments.bench.remaining import unfinished_generations
from harness.records import sessions
from tests.e2e.conftest import workers
from tests.e2e.test_bench import check_ids, until

TABLE = """
[sweeps.small]
spec = "mnist-mlp"
arms = ["numpy/naive"]
dataset = "digits"
samples = 600
generations = 1
blocks = 2
axes = { width = [8, 16], batch_size = [32] }
"""
SWEEP = ("sweep", "small", "--no-parity")


def add_sweep(project, table=TABLE):
    file = project.root / "backends.toml"
    whole = re.sub(r"^\[sweeps\.\w+\]\n(.+\n)+", "", file.read_text(), flags=re.MULTILINE)
    file.write_text(whole + table)
    return project


@pytest.fixture
def small(project):
    return add_sweep(project)


def results(project):
    return project.results / "sweeps" / "small"


def found(project):
    """All sessions of a sweep; none of their files is damaged, but for torn last lines."""
    loaded = sessions.load_all(results(project))
    assert all("torn" in each.reason for each in loaded.rejected), loaded.rejected
    return loaded.sessions


def check_counted(project, n_cells):
    """Every cell has one session that counts, whole, and each of its blocks once."""
    complete = [bench for bench in found(project) if not unfinished_generations(bench)]
    assert sorted(each.session.cell.attempt for each in complete)[0] >= 1
    assert len({bench.session.cell.id for bench in complete}) == len(complete) == n_cells
    for bench in complete:
        check_ids(bench)


def check_no_overlap(benches):
    """No two blocks of sessions on one machine were measured at the same time."""
    spans = []
    for bench in benches:
        for block in bench.blocks:
            began = datetime.fromisoformat(block.started_at)
            took = sum(turn.around_s for turn in block.turns.values())
            spans.append((began, began + timedelta(seconds=took)))
    slack = timedelta(seconds=0.05)  # starts are by the clock of the day
    spans.sort()
    assert all(one[1] <= other[0] + slack for one, other in itertools.pairwise(spans))


def test_a_sweep_measures_each_cell_once_and_maps_them(small):
    dry = small.run("sweep", "small", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "0 of 2 cells are done" in dry.stdout
    ended = small.run(*SWEEP, "--json", "map.json")
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "width=8, batch_size=32: done in" in ended.stdout
    check_counted(small, 2)
    check_no_overlap(found(small))
    assert {each.session.data.n_train for each in found(small)} == {600}
    assert len(json.loads((small.root / "map.json").read_text())["cells"]) == 2
    again = small.run(*SWEEP)
    assert "done in" not in again.stdout
    assert len(found(small)) == 2, "what is done is not done again"
    shown = small.run("map", "small", "--csv", "map.csv")
    assert shown.returncode == 3
    assert len((small.root / "map.csv").read_text().splitlines()) == 3


def test_a_cell_of_another_spec_or_no_cell_at_all_is_refused_in_a_sentence(small):
    file = small.root / "cell.json"
    asked = {"config": str(small.root / "backends.toml"), "results": "r", "sweep": "small"}
    values = {"width": 8, "batch_size": 32}
    file.write_text(json.dumps(asked | {"id": "0" * 16, "values": values}))
    ended = small.run("cell", str(file))
    assert ended.returncode == 2
    assert "have changed since. Run harness sweep again" in ended.stderr
    file.write_text("{}")
    assert "not a cell: [config]: expected a value" in small.run("cell", str(file)).stderr


@pytest.mark.long
def test_a_cell_that_cannot_be_is_given_up_with_its_reason_and_the_others_go_on(small):
    (small.root / ".nox" / "train-numpy").unlink()
    ended = small.run(*SWEEP)
    assert ended.returncode == 1
    assert "given up: numpy: environment missing. Run: harness setup numpy" in ended.stdout
    assert ended.stdout.count("given up") == 2


def start(project):
    return project.start(*SWEEP)


def cell_process(driver):
    """The `harness cell` that a driver runs; None where there is none."""
    try:
        children = psutil.Process(driver.pid).children()
        return next((each for each in children if "cell" in each.cmdline()), None)
    except psutil.NoSuchProcess:
        return None


def end_all(project):
    """Wait until no process of a project's sweep lives any more."""
    mark = str(results(project))

    def lives():
        commands = (each.info["cmdline"] or () for each in psutil.process_iter(["cmdline"]))
        return any(mark in part for command in commands for part in command)

    until(lambda: not lives(), 120)


@pytest.mark.long
def test_killed_and_started_again_a_sweep_loses_nothing_and_counts_nothing_twice(small):
    driver = start(small)
    until(lambda: cell_process(driver) and workers(driver))
    driver.kill()
    driver.communicate()
    again = start(small)
    until(lambda: cell_process(again) and workers(again))
    cell_process(again).kill()
    said = again.communicate(timeout=300)[0]
    assert again.returncode == 3, said
    assert "once more, later" in said
    end_all(small)
    check_counted(small, 2)
    check_no_overlap(found(small))


def test_interrupted_a_sweep_keeps_what_it_has_and_says_how_to_go_on(small):
    driver = start(small)
    until(lambda: cell_process(driver) and workers(driver))
    driver.send_signal(signal.SIGINT)
    said = driver.communicate(timeout=60)[0]
    assert driver.returncode == 130, said
    assert "interrupted: cells are to do. Go on: harness sweep small" in said
    assert "Traceback" not in said
    end_all(small)


@pytest.mark.long
@pytest.mark.parametrize("what", ["driver", "cell"])
def test_twenty_kills_lose_no_cell_and_count_none_twice(small, what):
    add_sweep(small, TABLE.replace("[8, 16]", str([*range(8, 32)])))
    chance = random.Random(5)
    for _ in range(20):
        driver = start(small)
        until(lambda: cell_process(driver))  # noqa: B023
        time.sleep(chance.uniform(0.2, 3.0))
        victim = driver if what == "driver" else cell_process(driver)
        if victim is not None:
            victim.kill()
        if what == "cell":
            until(lambda: cell_process(driver) not in (None, victim))  # noqa: B023
        driver.kill()
        driver.communicate()
    end_all(small)
    ended = small.run(*SWEEP)
    assert ended.returncode == 3, ended.stdout
    check_counted(small, 24)
    check_no_overlap(found(small))


@pytest.mark.long
def test_two_by_two_cells_of_three_backends_are_a_map_within_ten_minutes(project):
    arms = 'arms = ["jax/keras", "tensorflow/keras", "torch/keras"]'
    table = TABLE.replace('arms = ["numpy/naive"]', arms).replace("[32]", "[32, 256]")
    add_sweep(project, table.replace("generations = 1", "generations = 6"))
    began = time.monotonic()
    driver = project.start("sweep", "small", "--no-parity", "--csv", "map.csv")
    until(lambda: cell_process(driver) and workers(driver))
    before, own = time.monotonic(), psutil.Process(driver.pid)
    spent_s = sum(own.cpu_times()[:2])
    time.sleep(10)
    spent_s = sum(own.cpu_times()[:2]) - spent_s
    assert spent_s <= 0.002 * (time.monotonic() - before), "the driver sleeps while a cell is timed"
    said = driver.communicate(timeout=600)[0]
    assert time.monotonic() - began < 600
    assert driver.returncode in (0, 3), said
    assert "identical code was called different in" in said
    check_counted(project, 4)


@pytest.mark.long
def test_refined_a_sweep_measures_in_full_only_where_it_must(small):
    add_sweep(
        small, TABLE.replace("[8, 16]", "[8, 16, 32, 64, 128, 256]").replace("1\nbl", "3\nbl")
    )
    ended = small.run(*SWEEP, "--refine", "--page", "map.html")
    assert ended.returncode == 3, ended.stdout + ended.stderr
    sizes = sorted(each.session.n_generations for each in found(small))
    assert sizes == [2, 2, 2, 3], "the coarse grid, then one cell in ten"
    assert "<svg " in (small.root / "map.html").read_text()
    assert not small.run(*SWEEP, "--refine").stdout.count("done in")
