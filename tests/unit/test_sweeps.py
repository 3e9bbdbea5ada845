"""Sweeps without a backend: tables, plans, engines, and the map of sessions that are made up."""

import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from harness.engine import cells as engines
from harness.errors import ConfigError
from harness.experiments.bench.remarks import VIRTUAL
from harness.experiments.sweep import compare, refine, screen
from harness.experiments.sweep.attempts import find
from harness.experiments.sweep.charts import page
from harness.experiments.sweep.document import compose
from harness.experiments.sweep.forecast import forecast, guesses
from harness.experiments.sweep.gather import gather
from harness.experiments.sweep.plan import plan_sweep
from harness.experiments.sweep.plan_document import compose_plan
from harness.records import store
from harness.records.bench import OfCell
from harness.report import html
from harness.report.renderers import render
from harness.spec.config import load
from harness.spec.model import OwnModel
from harness.spec.sweeps import change_spec
from harness.statistics.cost import fit_weights, relative_error
from harness.statistics.verdict import LEVEL
from tests.unit import benches
from tests.unit.records import SETTINGS
from tests.unit.test_plan import ROOT

TABLE = """
[sweeps.small]
spec = "mnist-mlp"
arms = ["jax/keras", "tensorflow/keras", "torch/keras"]
axes = { width = [8, 16], batch_size = [32, 64] }
"""
NAMES = ("jax/keras", "tensorflow/keras", "torch/keras", "jax/keras again")


def project(tmp_path, table=TABLE):
    """A project with the package's backends.toml and another sweep in place of its own."""
    whole = (ROOT / "backends.toml").read_text()
    before, _, after = whole.partition("[sweeps.mlp]")
    (tmp_path / "backends.toml").write_text(before + table + after[after.index("# A backend is") :])
    return load(tmp_path / "backends.toml")


def plan(tmp_path, table=TABLE, name="small"):
    return plan_sweep(tmp_path, project(tmp_path, table), name)


FAULTS = {
    "no such spec": ('"mnist-mlp"', '"mnist-mpl"', "[sweeps.small] spec: expected one of "),
    "no such axis": (
        "width =",
        "widht =",
        "[sweeps.small] axes: expected one of width, depth, batch_size, optimizer, replicas; "
        "received 'widht'. Did you mean 'width'?",
    ),
    "no number of devices": (
        "width = [8, 16]",
        "replicas = [1, 65]",
        "[sweeps.small] axes.replicas: expected a number of devices from 1 to 64; received 65",
    ),
    "an impossible width": (
        "[8, 16]",
        "[8, -16]",
        "[sweeps.small] axes.width: expected greater than 0; received -16",
    ),
    "a value twice": (
        "[8, 16]",
        "[8, 8]",
        "[sweeps.small] axes.width: expected each value once; received [8, 8]",
    ),
    "an axis without values": (
        "[8, 16]",
        "[]",
        "[sweeps.small] axes.width: expected at least 1; received []",
    ),
    "no such optimizer": (
        "width = [8, 16]",
        'optimizer = ["adma"]',
        "[sweeps.small] axes.optimizer: expected one of sgd, rmsprop, adam; "
        "received 'adma'. Did you mean 'adam'?",
    ),
    "a depth that is none": (
        "width = [8, 16]",
        "depth = [0]",
        "[sweeps.small] axes.depth: expected a number of hidden layers from 1 to 99; received 0",
    ),
    "too many cells": (
        "[8, 16]",
        str([*range(1, 1001)]).replace(" ", "") + ", depth = [1, 2, 3, 4, 5, 6]",
        "[sweeps.small] axes: expected at most 10000 cells; received 12000",
    ),
    "a key misspelt": ("arms =", "arm =", "[sweeps.small]: unknown key: expected one of spec,"),
    "an engine without a command": (
        "[sweeps.small]",
        "[engines.mine]\nin_flight = 2\n[sweeps.small]",
        "[engines.mine]: expected command = [...] or executor = 'MODULE:FUNCTION', one of both",
    ),
    "an engine that runs nothing": (
        "[sweeps.small]",
        '[engines.mine]\ncommand = ["sbatch"]\n[sweeps.small]',
        "[engines.mine] command: expected {command} in it; received ['sbatch']",
    ),
}


@pytest.mark.parametrize(("before", "after", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_in_a_sweep_is_one_sentence_with_its_place(tmp_path, before, after, said):
    assert before in TABLE
    with pytest.raises(ConfigError, match=r"^backends\.toml: ") as refused:
        project(tmp_path, TABLE.replace(before, after))
    assert str(refused.value).removeprefix("backends.toml: ").startswith(said)


def test_a_longer_axis_keeps_the_cells_that_there_are_and_another_size_makes_others(tmp_path):
    first = {cell.name: cell.id for cell in plan(tmp_path).cells}
    longer = plan(tmp_path, TABLE.replace("[8, 16]", "[4, 8, 16]"))
    assert first.items() <= {cell.name: cell.id for cell in longer.cells}.items()
    other = plan(tmp_path, TABLE + "generations = 7\n")
    assert not {*first.values()} & {cell.id for cell in other.cells}
    assert len({*first.values()}) == 4


def test_a_cell_s_spec_has_its_values_and_nothing_else_changes(tmp_path):
    axes = 'axes = { depth = [1, 3], width = [8], optimizer = ["rmsprop", "adam"] }'
    found = plan(tmp_path, TABLE.replace(TABLE.splitlines()[-1], axes))
    shallow, deep = found.cells[0].spec, found.cells[-1].spec
    whole = project(tmp_path).specs["mnist-mlp"]
    assert [layer.units for layer in shallow.layers] == [8, 10]
    assert [layer.name for layer in deep.layers] == ["hidden", "hidden-2", "hidden-3", "output"]
    assert deep.optimizer.name == "adam"
    assert shallow.optimizer == whole.optimizer
    assert shallow.model_copy(update={"layers": whole.layers}) == whole


DEVICES = TABLE.replace("width = [8, 16]", "replicas = [1, 2]").replace("torch/keras", "torch/lean")


def test_a_cell_has_its_number_of_devices_and_one_device_is_the_cell_that_it_always_was(tmp_path):
    found = plan(tmp_path, DEVICES)
    assert [cell.replicas for cell in found.cells] == [1, 1, 2, 2]
    assert [found.config_of(cell).protocol.replicas for cell in found.cells] == [1, 1, 2, 2]
    assert found.cells[0].spec == found.cells[2].spec
    assert len({cell.id for cell in found.cells}) == 4
    without = plan(tmp_path, DEVICES.replace("replicas = [1, 2], ", ""))
    assert [cell.id for cell in without.cells] == [cell.id for cell in found.cells[:2]]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "torch/lean",
            "torch/keras",
            "[sweeps.small] replicas 2: torch/keras: keras.distribution.DataParallel does nothing",
        ),
        (
            "[1, 2]",
            "[1, 5]",
            "[sweeps.small] replicas, replicas=5, batch_size=32: expected a number that divides "
            "each batch, of 32 samples, as 2, 4, 8, 16; received 5. Take 2",
        ),
        (
            "axes",
            "samples = 97\naxes",
            "[sweeps.small] replicas, replicas=2, batch_size=32: expected a number that divides "
            "each batch, of 32 and 1 samples, as none does; received 2. Take another batch size",
        ),
    ],
)
def test_devices_that_an_arm_or_a_batch_does_not_allow_are_refused(tmp_path, before, after, said):
    with pytest.raises(ConfigError) as refused:
        plan(tmp_path, DEVICES.replace(before, after))
    assert str(refused.value).startswith(said)


def test_the_number_of_devices_is_no_argument_of_a_user_s_own_build():
    own = OwnModel(model="mine.py:build", data="mine.py:data")
    assert change_spec(own, {"replicas": 2, "units": 8}).arguments == {"units": 8}


@pytest.mark.parametrize("values", [{"depth": "x"}, {"width": 8, "batch_size": 10**9}, {}])
def test_a_cell_that_the_sweep_does_not_have_is_refused_in_a_sentence(tmp_path, values):
    config = project(tmp_path)
    with pytest.raises(ConfigError, match=r"^\[sweeps.small\]: it has no cell"):
        plan_sweep(tmp_path, config, "small", only=[values])


def test_a_project_without_a_sweep_says_what_to_write(tmp_path):
    with pytest.raises(ConfigError, match=r"expected a table \[sweeps.NAME\]; received none"):
        plan(tmp_path, "", "small")


def test_the_package_s_own_sweep_can_be_planned():
    own = load(ROOT / "backends.toml")
    assert {*tomllib.loads((ROOT / "backends.toml").read_text())["sweeps"]} == {"mlp"}
    assert len(plan_sweep(ROOT, own, "mlp").cells) == 16


def keep(results, cell, epoch_s, attempt=1, n_kept=None, n_generations=6, **changes):
    """Keep a made-up session of a cell; of one that is not complete, so many blocks."""
    made = benches.bench(
        epoch_s,
        run_id=f"20260102T03040{attempt}Z-{cell.id}",
        n_generations=n_generations,
        n_blocks=2,
        process=0.002,
        draw=int(cell.id[:6], 16),
        spec=cell.spec,
        cell=OfCell(sweep="small", id=cell.id, values=cell.values, attempt=attempt),
        **changes,
    )
    store.ready(results, "bench")
    parts = (made.session, *(*made.starts, *made.blocks, *made.ends)[:n_kept])
    lines = b"".join(map(store.line_of, parts))
    (results / "bench" / f"{made.session.run_id}{store.SUFFIX}").write_bytes(lines)
    return made.session.run_id


def found_map(found, results, short=None):
    return gather(found, find(found, results), short or plan_sweep_short(found), results)


def plan_sweep_short(found):
    return found.__class__(found.name, found.sweep, found.config, found.arms, (), screens=True)


FAST_JAX = dict(zip(NAMES, (1.0, 1.5, 2.0, 1.0), strict=True))
TIED = dict(zip(NAMES, (1.0, 1.001, 2.0, 1.0), strict=True))


def test_a_map_names_the_winner_of_each_cell_and_where_nobody_leads(tmp_path):
    whole = plan(tmp_path)
    for cell in whole.cells[:3]:
        keep(tmp_path, cell, TIED if cell is whole.cells[1] else FAST_JAX)
    found = found_map(whole, tmp_path)
    assert [cell.found.winner for cell in found.cells] == ["jax/keras", "", "jax/keras"]
    assert {*found.cells[1].found.together} == {"jax/keras", "tensorflow/keras"}
    assert found.missing == (whole.cells[3].values,)
    assert (found.n_twins, found.n_twins_differ) == (3, 0)
    document = compose(found, "mnist-mlp")
    text = render(document, "terminal")
    assert "jax/keras leads surely in 2 of 3 cells." in text
    assert "identical code was called different in 0 of 3 cells" in text
    assert " or ".join(found.cells[1].found.together) in text
    assert f"Measured on {benches.HOST.machine}; an epoch is 60000 samples of mnist." in text
    rows = render(document, "csv").splitlines()
    assert len(rows) == 4
    assert rows[0].startswith("width,batch_size,winner,first,together,next,lead,")
    assert rows[0].endswith(
        ",epoch_s of jax/keras,epoch_s of tensorflow/keras,epoch_s of torch/keras"
    )


def test_the_first_complete_attempt_counts_and_what_is_not_complete_counts_never(tmp_path):
    whole = plan(tmp_path)
    cell, other = whole.cells[:2]
    keep(tmp_path, cell, FAST_JAX, attempt=1, n_kept=10)
    second = keep(tmp_path, cell, FAST_JAX, attempt=2)
    third = keep(tmp_path, cell, TIED, attempt=3)
    keep(tmp_path, other, FAST_JAX, n_kept=20)
    found = found_map(whole, tmp_path)
    assert [each.session for each in found.cells] == [second]
    assert found.remarks == (
        f"{cell.name}: session {third} is a second complete one; {second} counts",
    )


def test_sessions_of_other_cells_are_left_out_and_named(tmp_path):
    old = plan(tmp_path, TABLE + "generations = 7\n")
    keep(tmp_path, old.cells[0], FAST_JAX)
    found = found_map(plan(tmp_path), tmp_path)
    assert found.cells == ()
    assert found.remarks[0].startswith("1 sessions are left out: of cells that the sweep does not")


def test_machines_of_other_descriptions_are_maps_of_their_own(tmp_path):
    whole = plan(tmp_path)
    other = benches.HOST.__class__(**{**vars(benches.HOST), "machine": "Another, 64 cores"})
    keep(tmp_path, whole.cells[0], FAST_JAX)
    keep(tmp_path, whole.cells[1], FAST_JAX, host=other)
    found = found_map(whole, tmp_path)
    text = render(compose(found, "mnist-mlp"), "terminal")
    assert text.index(benches.HOST.machine) < text.index("Another, 64 cores")


def test_no_arm_leads_on_virtual_devices_however_fast_it_is(tmp_path):
    whole = plan(tmp_path, DEVICES.replace("torch/lean", "torch/keras", 1).replace("[1, 2]", "[1]"))
    virtual = {"settings": SETTINGS | {"replicas": 2, "virtual_devices": True}}
    keep(tmp_path, whole.cells[0], FAST_JAX)
    keep(tmp_path, whole.cells[1], FAST_JAX, starts=dict.fromkeys(NAMES, virtual), replicas=2)
    found = found_map(whole, tmp_path)
    one, two = found.cells
    assert (one.found.winner, two.found.winner, two.found.first) == ("jax/keras", "", "")
    assert (two.reigns, two.epoch_s, {*two.left_out.values()}) == ((), {}, {VIRTUAL})
    assert (found.n_twins, two.n_generations) == (1, 6)
    assert found.remarks == (f"no arm can lead in 1 of 2 cells: {VIRTUAL}",)
    known = screen.screened(whole, find(whole, tmp_path))
    assert [known[cell.id].first for cell in whole.cells] == ["jax/keras", ""]


def test_what_is_expected_of_a_cell_is_said_and_never_a_verdict(tmp_path):
    axes = "axes = { width = [8, 16, 32, 64], batch_size = [32, 64] }"
    whole = plan(tmp_path, TABLE.replace(TABLE.splitlines()[-1], axes))
    for cell in whole.cells[:-1]:
        n_updates = 60_000 / cell.values["batch_size"]
        times = {name: 1e-5 * n_updates * (1 + place) for place, name in enumerate(NAMES[:3])}
        keep(tmp_path, cell, {**times, NAMES[3]: times[NAMES[0]]})
    known = forecast(whole, find(whole, tmp_path))
    last = whole.cells[-1]
    assert set(known.epoch_s) == {last.id}
    assert known.epoch_s[last.id]["jax/keras"] == pytest.approx(1e-5 * 60_000 / 64, rel=0.02)
    assert known.error < 0.05
    found = found_map(whole, tmp_path)
    assert len(found.cells) == 7
    assert "predicted: jax/keras" in render(
        compose(found, "mnist-mlp", guesses(whole, known, {})), "terminal"
    )
    assert "7 of 8 cells are done" in render(compose_plan(whole, known), "terminal")


def test_weights_of_the_cost_are_found_again_and_none_is_negative():
    random = np.random.default_rng(0)
    parts = random.uniform(1, 100, (12, 4)) * [1, 10, 1e9, 1e6]
    weights = np.array([2e-4, 0.0, 1e-11, 3e-9])
    found = fit_weights(parts, parts @ weights)
    assert found == pytest.approx(weights, rel=1e-6, abs=1e-12)
    assert relative_error(parts, parts @ weights) < 1e-6
    assert fit_weights(parts[:5], (parts @ weights)[:5]) is None


def test_holm_is_stricter_than_the_rate_of_false_discoveries():
    p = np.array([0.01, 0.04, 0.03])
    assert compare.adjust(p, strict=True) == pytest.approx([0.03, 0.06, 0.06])
    assert compare.adjust(p) == pytest.approx([0.03, 0.04, 0.04])


@pytest.mark.parametrize("n_generations", [6, 8, 10])
def test_fewer_generations_need_more_clear_comparisons_before_any_is_sure(n_generations):
    n, clear = 80, 2.0 ** (1 - n_generations)
    fewest = compare.fewest_clear(n, n_generations)
    for n_clear in (fewest - 1, fewest):
        p = np.repeat([clear, 1.0], [n_clear, n - n_clear])
        assert (compare.adjust(p) <= LEVEL).sum() == (n_clear if n_clear == fewest else 0)


@pytest.mark.parametrize(
    ("n_generations", "said"),
    [
        (5, "With fewer than 6 generations a cell nothing is sure."),
        (6, "no p-value is below 1/32, so nothing is sure unless 7 of 8 comparisons are as"),
    ],
)
def test_a_plan_says_what_it_takes_to_be_sure_before_hours_are_spent(tmp_path, n_generations, said):
    whole = plan(tmp_path, TABLE + f"generations = {n_generations}\n")
    known = forecast(whole, find(whole, tmp_path))
    assert said in " ".join(render(compose_plan(whole, known), "terminal").split())


def test_a_cell_with_too_few_generations_to_be_judged_takes_nothing_from_the_others(tmp_path):
    whole = plan(tmp_path)
    keep(tmp_path, whole.cells[0], FAST_JAX)
    for cell in whole.cells[1:]:
        keep(tmp_path, cell, FAST_JAX, n_generations=5)
    found = found_map(whole, tmp_path)
    assert [cell.found.winner for cell in found.cells] == ["jax/keras", "", "", ""]
    assert found.n_comparisons == 2
    assert {rival.p_map for rival in found.cells[1].found.rivals} == {1.0}
    text = render(compose(found, "mnist-mlp"), "terminal")
    assert "width=16, batch_size=64: fewer than 6 generations count, so nothing is sure" in text


def test_refinement_goes_where_neighbours_have_other_winners():
    grid, places = refine.grid_of({"width": [*range(8)], "batch_size": [*range(8)]})

    def winner(place):
        return refine.Screened("a" if place[0] < 3 else "b", abs(place[0] - 2.5))

    known = {}
    while wanted := refine.screen_next(grid, known):
        known |= {place: winner(place) for place in wanted}
    assert len(known) < len(places)
    full = refine.full_cells(grid, known)
    assert {place[0] for place in full[:4]} <= {2, 3}
    assert len(full) <= 0.4 * len(places)


def test_a_short_session_in_which_no_block_counts_is_no_border():
    grid, _ = refine.grid_of({"width": [*range(8)]})
    known = {place: refine.Screened("a" if place[0] else "", 0.1) for place in grid.coarse()}
    assert refine.screen_next(grid, known) == []
    assert len(refine.full_cells(grid, known)) == 1, "the random tenth"


def test_short_sessions_say_where_the_full_ones_are_and_never_count(tmp_path):
    eight = str([2**n for n in range(3, 11)])
    table = TABLE.replace("[8, 16]", eight).replace("[32, 64]", eight)
    whole = plan(tmp_path, table)
    short = plan_sweep(tmp_path, project(tmp_path, table), "small", screen.GENERATIONS)
    asked = {whole.screens: 0, short.screens: 0}

    def run(which, cells):
        for cell in cells:
            others = (1.0, 1.5, 2.0, 1.0) if cell.values["width"] < 64 else (1.5, 1.0, 2.0, 1.5)
            epoch_s = dict(zip(NAMES, others, strict=True))
            keep(tmp_path, cell, epoch_s, n_generations=which.sweep.generations)
            asked[which.screens] += 1
        return True

    screen.refine(whole, short, tmp_path, run)
    assert asked[True] < 64
    assert asked[False] <= 0.4 * 64
    found = found_map(whole, tmp_path, short)
    assert len(found.cells) == asked[False]
    assert found.remarks == ()
    assert {cell.n_generations for cell in found.cells} == {whole.sweep.generations}
    assert {cell.found.winner for cell in found.cells} == {"jax/keras", "tensorflow/keras"}


def test_names_are_no_order_so_every_one_of_an_axis_is_looked_at():
    grid, _ = refine.grid_of({"optimizer": ["sgd", "rmsprop", "adam"], "width": [*range(9)]})
    assert [*grid.coarse()] == [(i, j) for i in range(3) for j in (0, 4, 8)]
    assert all(one[0] == other[0] for one, other in grid.neighbours())


@pytest.mark.long
def test_ten_thousand_cells_are_planned_in_a_second_and_a_thousand_sessions_mapped_in_ten(tmp_path):
    many = TABLE.replace("[8, 16]", str([*range(1, 101)])).replace(
        "[32, 64]", str([*range(1, 101)])
    )
    began = time.process_time()
    assert len(plan(tmp_path, many).cells) == 10_000
    assert time.process_time() - began < 1.0
    whole = plan(tmp_path, many)
    for cell in whole.cells[:1000]:
        keep(tmp_path, cell, FAST_JAX)
    began = time.process_time()
    assert len(found_map(whole, tmp_path).cells) == 1000
    assert time.process_time() - began < 10.0


def task(folder, code, name="t"):
    file = folder / f"{name}.json"
    return engines.Task(name, (sys.executable, "-c", code), file, folder / f"{name}.log")


def test_a_template_takes_the_command_as_words_or_as_one_text(tmp_path):
    given = engines.Task("n", ("harness", "cell", "a file"), Path("a file"), tmp_path / "log")
    assert engines.fill(("{command}",), given) == ["harness", "cell", "a file"]
    wrapped = engines.fill(("--job-name={name}", "--output={log}", "--wrap={command}"), given)
    log = f"--output={tmp_path / 'log'}"
    assert wrapped == ["--job-name=n", log, "--wrap=harness cell 'a file'"]


def test_no_more_tasks_run_at_once_than_the_engine_takes_and_each_end_is_told(tmp_path):
    code = "import time; print(time.monotonic()); time.sleep(0.3); print(time.monotonic())"
    left = [task(tmp_path, code, str(number)) for number in range(4)]
    engine = engines.open_engine("local", project(tmp_path), in_flight=2)
    ended = list(engines.outcomes(lambda: left.pop() if left else None, engine))
    assert sorted(each.name for each, _ in ended) == ["0", "1", "2", "3"]
    assert {ran.code for _, ran in ended} == {0}
    spans = [tuple(map(float, (tmp_path / f"{n}.log").read_text().split())) for n in range(4)]
    for moment, _ in spans:
        assert sum(low <= moment < high for low, high in spans) <= 2


def test_what_does_not_start_or_fails_is_an_outcome_with_its_last_words(tmp_path):
    failing = task(tmp_path, "import sys; print('first'); sys.exit('the reason')")
    missing = engines.Task("m", (str(tmp_path / "none"),), tmp_path / "m", tmp_path / "m.log")
    left = [failing, missing]
    engine = engines.open_engine("local", project(tmp_path))
    ended = dict(engines.outcomes(lambda: left.pop() if left else None, engine))
    assert (ended[failing].code, ended[failing].said) == (1, "the reason")
    assert ended[missing].code == 127


def pool(options):
    return ThreadPoolExecutor(options.get("workers", 1))


def nothing(options):
    return None


def test_any_executor_of_a_module_is_an_engine(tmp_path):
    engine = engines.open_engine(f"{__name__}:pool", project(tmp_path))
    left = [task(tmp_path, "print('here')")]
    (ended,) = engines.outcomes(lambda: left.pop() if left else None, engine)
    assert ended[1].said == "here"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("slrum", "--engine: expected one of local, slurm, ray, MODULE:FUNCTION; received 'slrum'"),
        ("no_module:x", "--engine no_module:x: No module named 'no_module'"),
        (f"{__name__}:none", f"--engine {__name__}:none: module '{__name__}' has no attribute"),
        (f"{__name__}:nothing", "expected a concurrent.futures.Executor; received NoneType"),
    ],
)
def test_an_engine_that_is_none_is_refused_in_a_sentence(tmp_path, name, said):
    with pytest.raises(ConfigError, match=r"--engine") as refused:
        engines.open_engine(name, project(tmp_path))
    assert said in str(refused.value)


def test_the_page_of_a_map_has_a_picture_with_winners_and_hatched_guesses(tmp_path):
    whole = plan(tmp_path)
    for cell in whole.cells[:3]:
        keep(tmp_path, cell, TIED if cell is whole.cells[1] else FAST_JAX)
    guessed = guesses(
        whole, forecast(whole, find(whole, tmp_path)), {"width=16, batch_size=64": "torch/keras"}
    )
    assert guessed == [(whole.cells[3].values, "screened: torch/keras")]
    text = html.render(page(found_map(whole, tmp_path), "mnist-mlp", guessed, {"a": 1}))
    picture = text.partition("<svg ")[2].partition("</svg>")[0]
    for said in ("<tspan>jax<", "<tspan>none<", "<tspan>torch<", "/ / / /"):
        assert said in picture
    assert "screened: torch/keras" in text
