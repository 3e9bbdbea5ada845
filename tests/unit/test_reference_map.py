"""The map that is committed is what its sessions say: its CSV, its page, and what the docs show."""

import csv
import html
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.experiments.bench.remaining import unfinished_generations
from harness.records import sessions, store

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference"
MAP = REFERENCE / "sweeps" / "mlp"


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What `harness map mlp` writes of the committed sessions."""
    folder = tmp_path_factory.mktemp("map")
    written = [f"--{kind}={folder / kind}" for kind in ("csv", "json", "markdown")]
    asked = ["map", "mlp", "--config", str(ROOT / "backends.toml"), "--results", str(REFERENCE)]
    found = CliRunner().invoke(app, [*asked, *written])
    assert found.exit_code == 0, found.output
    return {kind: (folder / kind).read_text() for kind in ("csv", "json", "markdown")}


def test_every_cell_has_one_whole_session_of_six_arms_whose_models_were_checked():
    found = sessions.load_all(MAP)
    assert found.rejected == ()
    assert len({bench.session.cell.id for bench in found.sessions}) == len(found.sessions) == 16
    assert not any(unfinished_generations(bench) for bench in found.sessions)
    assert {len(bench.session.entrants) for bench in found.sessions} == {7}, "one arm twice"
    checks = store.load_all(MAP).checks
    assert len(checks) == 16
    assert {check.verdict for check in checks} == {"agrees"}


def test_its_csv_and_the_docs_are_what_its_sessions_say(shown):
    assert (MAP / "map.csv").read_text() == shown["csv"]
    text = shown["markdown"].strip()
    assert text in (REFERENCE / "README.md").read_text()
    assert next(line for line in text.splitlines() if "A/A" in line)
    grid = text[text.index("| width") :].partition("\n\n")[0]
    assert grid in (ROOT / "docs" / "sweeps.md").read_text()


def test_its_page_names_each_cell_s_winner_and_how_often_identical_code_differed(shown):
    page = (MAP / "map.html").read_text()
    assert len(page) <= 700_000
    said = html.unescape(re.sub(r"<[^>]+>", "", page))
    found = json.loads(shown["json"])
    differ = sum(row["identical_code_differs"] for row in found["cells"])
    assert f"identical code was called different in {differ} of 16 cells" in said
    body = next(part for part in page.split("<tbody>")[1:] if part.count("<tr") == 16)
    cells = (re.findall(r"<t[hd].*?/t[hd]>", row) for row in body.split("<tr")[1:])
    rows = [[html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in row] for row in cells]
    kept = list(csv.DictReader(shown["csv"].splitlines()))
    assert [(row[0], row[1]) for row in rows] == [(r["width"], r["batch_size"]) for r in kept]
    assert [row[2] for row in rows] == [row["winner"] or "no arm leads surely" for row in kept]


def test_the_docs_say_what_the_map_comes_to_and_how_far_fit_is_behind_at_both_its_ends(shown):
    kept = list(csv.DictReader(shown["csv"].splitlines()))
    page = " ".join((ROOT / "docs" / "sweeps.md").read_text().split())
    assert all("/compiled" in cell["first"] + cell["together"] for cell in kept)
    n_sure = sum(bool(cell["winner"]) for cell in kept)
    assert f"an arm leads surely in {n_sure} of 16 cells" in page
    n_differ = sum(cell["identical_code_differs"] == "True" for cell in kept)
    assert f"identical code was called different in {n_differ} of 16 cells" in page
    for cell in (kept[0], kept[-1]):
        epochs = {name: float(value) for name, value in cell.items() if name.startswith("epoch_s ")}
        far = [epochs[f"epoch_s of {name}/keras"] for name in ("tensorflow", "jax", "torch")]
        said = ", ".join(f"{epoch / min(epochs.values()):.1f}" for epoch in far)
        assert f"{said} times" in page
