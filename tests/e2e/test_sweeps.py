"""`harness sweep` with real processes: kept, gone on with after kills, and mapped."""

import csv
import itertools
import json
import random
import re
import signal
import time
from datetime import datetime, timedelta

import psutil
import pytest

from harness.experiments.bench.judge import summarize
from harness.experiments.bench.remaining import unfinished_generations
from harness.records import sessions, store
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
OWN = """
[specs.mine]
model = "digits_cnn.py"
limit_batches = 4
[sweeps.small]
spec = "mine"
arms = ["jax/keras", "torch/keras"]
generations = 1
blocks = 2
axes = { width = [2, 4] }
"""


def add_sweep(project, table=TABLE):
    file = project.root / "backends.toml"
    earlier = r"^\[(sweeps\.\w+|specs\.mine)\]\n(.+\n)+"
    whole = re.sub(earlier, "", file.read_text(), flags=re.MULTILINE)
    file.write_text(whole + table)
    return project


def make_small(project, table=TABLE):
    """Have a project whose spec, which a bench trains as it is, is no larger than the cells'."""
    file = project.root / "backends.toml"
    file.write_text(file.read_text().replace("units = 512", "units = 8"))
    return add_sweep(project, table)


@pytest.fixture
def small(project):
    return make_small(project)


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


def check_no_overlap(benches, records=()):
    """No two blocks of sessions, nor trainings, were measured at the same time on one machine."""
    took = [
        (block.started_at, sum(turn.around_s for turn in block.turns.values()))
        for bench in benches
        for block in bench.blocks
    ]
    took += [(each["started_at"], each["total_s"]) for each in records]
    spans = sorted(
        (began := datetime.fromisoformat(at), began + timedelta(seconds=span_s))
        for at, span_s in took
    )
    slack = timedelta(seconds=0.05)  # starts are by the clock of the day
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


def test_a_sweep_in_the_background_of_a_script_ends_with_its_cells_when_it_is_terminated(small):
    add_sweep(small, TABLE.replace("generations = 1", "generations = 90"))  # of many minutes
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for what a script starts with &
    try:
        driver = start(small)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    until(lambda: cell_process(driver) and workers(driver))
    driver.terminate()
    try:
        said = driver.communicate(timeout=60)[0]
    finally:
        if cell := cell_process(driver):
            cell.kill()
        driver.kill()
    assert "interrupted: cells are to do. Go on: harness sweep small" in said
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
    asked = (*SWEEP, "--csv", "map.csv", "--page", "map.html")
    began = time.monotonic()
    driver = project.start(*asked)
    share = share_of_a_core(driver)
    said = driver.communicate(timeout=600)[0]
    whole_s = time.monotonic() - began
    assert driver.returncode in (0, 3), said
    assert "identical code was called different in" in said
    check_counted(project, 4)
    assert len((project.root / "map.csv").read_text().splitlines()) == 5
    assert "<svg " in (project.root / "map.html").read_text()
    again = time.monotonic()
    project.run(*asked)
    once_s = time.monotonic() - again  # what the driver and the map take, however many cells
    timed_s = sum(each.total_s for bench in found(project) for each in bench.sittings)
    cell_s = (whole_s - timed_s - once_s) / 4
    print(
        f"2 x 2 cells in {whole_s:.0f} s, of which sessions {timed_s:.0f} s; beside its session "
        f"a cell costs {cell_s:.2f} s, and the whole {once_s:.2f} s once; while a cell is timed "
        f"the driver takes {share:.3%} of a core"
    )
    assert whole_s < 600
    assert cell_s <= 2
    assert share <= 0.002, "the driver sleeps while a cell is timed"


def share_of_a_core(driver, for_s=60):
    """The share of a core that a driver takes while the workers of its first cell are there."""
    until(lambda: cell_process(driver) and workers(driver))
    cell, own, began = cell_process(driver), psutil.Process(driver.pid), time.monotonic()
    before_s = sum(own.cpu_times()[:2])  # its own; a tick is 0.01 s
    time.sleep(for_s)
    spent_s, took_s = sum(own.cpu_times()[:2]) - before_s, time.monotonic() - began
    assert cell_process(driver) == cell, "it is still the first cell"
    return spent_s / took_s


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


@pytest.mark.long
def test_a_sweep_a_session_and_a_training_at_once_on_one_machine_take_turns(small):
    size = ("--dataset", "digits", "--generations", "2", "--blocks", "2", "--no-parity")
    others = [
        small.start("bench", "numpy/naive", *size),
        small.start("train", "numpy", "--arm", "naive", "--dataset", "digits", "--epochs", "2"),
    ]
    several = [start(small), *others]
    said = [each.communicate(timeout=500)[0] for each in several]
    said.append("".join(file.read_text() for file in results(small).glob("cells/*.log")))
    assert [each.returncode for each in several] == [3, 3, 0], said
    assert "waiting: this machine is measured on" in "".join(said)
    benches = [*found(small), *sessions.load_all(small.results).sessions]
    assert len(benches) == 3
    check_no_overlap(benches, small.records())


@pytest.mark.long
def test_a_sweep_of_one_s_own_model_has_an_argument_of_its_function_as_an_axis(folder):
    add_sweep(folder, OWN)
    ended = folder.run("sweep", "small", "--csv", "map.csv")
    assert ended.returncode == 3, ended.stdout + ended.stderr
    check_counted(folder, 2)
    sizes = {
        bench.session.spec.arguments["width"]: {each.n_parameters for each in bench.starts}
        for bench in found(folder)
    }
    assert sizes == {width: {width * (9 + 1) + 10 * (width * 36 + 1)} for width in (2, 4)}
    rows = csv.DictReader((folder.root / "map.csv").read_text().splitlines())
    assert [row["width"] for row in rows] == ["2", "4"]
    add_sweep(folder, OWN.replace("[2, 4]", "[2, 4, 6]"))
    assert "2 of 3 cells are done" in folder.run("sweep", "small", "--dry-run").stdout
    add_sweep(folder, OWN.replace("width", "widht"))
    refused = folder.run("sweep", "small")
    assert refused.returncode == 2
    assert "received 'widht'. Did you mean 'width'?" in refused.stderr


@pytest.mark.long
def test_a_sweep_of_one_s_own_model_has_precision_as_an_axis_and_judges_each_by_its_own(folder):
    add_sweep(folder, OWN.replace("width = [2, 4]", 'precision = ["float32", "mixed_bfloat16"]'))
    ended = folder.run("sweep", "small")
    assert ended.returncode == 3, ended.stdout + ended.stderr
    check_counted(folder, 2)
    computed = {
        bench.session.spec.arguments["precision"]: {start.settings["precision"] for start in starts}
        for bench in found(folder)
        if (starts := bench.starts)
    }
    assert computed == {
        "float32": {"float32"},
        "mixed_bfloat16": {"float32 and mixed_bfloat16"},
    }
    checks = store.load_all(results(folder)).models  # by the rounding of the precision
    assert {check.verdict for check in checks} == {"agrees"}
    assert len(checks) == 2
    arms = [arm for bench in found(folder) for arm in summarize(bench, checks).arms]
    assert {arm.parity for arm in arms} == {"agrees"}, "each check is of its cell's model"
