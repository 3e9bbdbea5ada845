"""The gate: slower is said only of what is slower twice, and never of what cannot be compared; each outcome has its exit code."""

import io
import json
import re
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness import cli, cli_gate
from harness.errors import ConfigError, NotComparable, StoreError
from harness.judge.gate import gated
from harness.records import bench_store
from harness.records.revision import at_revision
from harness.report import gate as report
from tests.unit import benches

BASELINE = "jax/native"
NAMES = (BASELINE, "jax/keras", "torch/keras", f"{BASELINE} again")


def bench(run_id, jax=1.0, torch=2.0, *, noise=0.002, draw=0, **changes):
    """Return a complete session in which two arms took so many times the baseline's epoch."""
    seconds = dict(zip(NAMES, (0.5, 0.5 * jax, 0.5 * torch, 0.5), strict=True))
    plain = {"run_id": run_id, "started_at": f"2026-01-{draw + 1:02d}T00:00:00+00:00", "n_generations": 6, "n_blocks": 1}
    return benches.bench(seconds, process=noise, draw=draw, **plain | changes)


BASE, SAME, SLOWER = bench("base"), bench("same", draw=1), bench("slower", jax=1.2, draw=2)
NOISY = bench("noisy", noise=0.2, draw=3)


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    """Keep this machine's own window and workflow out."""
    for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


def kept(results, found):
    """Keep a session in a results folder, and return its folder."""
    folder = bench_store.folder_of(results, found.session)
    folder.mkdir(parents=True)
    for part in (found.session, *found.starts, *found.blocks, *found.ends):
        bench_store.add(folder, part)
    return folder


@pytest.fixture
def quick(monkeypatch):
    """Do not wait for the disk: what is tested here is not whether a power cut loses a file."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def findings(gate):
    return {change.name: gate.finding(change) for change in gate.changes}


# What it comes to


@pytest.mark.parametrize(
    ("head", "confirmation", "outcome", "jax"),
    [
        (SAME, None, "passed", "unchanged"),
        (SLOWER, None, "inconclusive", "suspected"),
        (SLOWER, bench("again", jax=1.2, draw=4), "regressed", "regressed"),
        (SLOWER, bench("again", draw=4), "passed", "not confirmed"),
        (SLOWER, bench("again", jax=0.8, draw=4), "passed", "not confirmed"),
        (SLOWER, bench("again", jax=1.2, noise=0.3, draw=4), "inconclusive", "inconclusive"),
        (SLOWER, bench("again", jax=1.2, draw=4, n_generations=3), "inconclusive", "inconclusive"),
        (bench("faster", jax=0.8, draw=5), None, "passed", "improved"),
        (NOISY, None, "inconclusive", "inconclusive"),
    ],
)
def test_an_arm_has_regressed_only_where_fresh_blocks_say_so_again(head, confirmation, outcome, jax):
    found = gated(head, BASE, confirmation)
    assert (found.outcome, findings(found)["jax/keras"]) == (outcome, jax)


def test_a_suspect_that_the_second_session_does_not_have_is_not_cleared():
    without = benches.bench({BASELINE: 0.5, f"{BASELINE} again": 0.5}, run_id="again", n_generations=6, n_blocks=1)
    assert gated(SLOWER, BASE, without).outcome == "inconclusive"


def test_one_regressed_arm_is_not_hidden_by_an_inconclusive_one():
    found = gated(SLOWER, BASE, bench("again", jax=1.2, draw=4))
    doubtful = replace(found, changes=(found.changes[0], replace(found.changes[1], trend="inconclusive")))
    assert doubtful.outcome == "regressed"


def test_an_arm_that_no_longer_trains_has_failed_and_fails_the_gate():
    crashes = tuple(benches.start("jax/keras", process=number, status="failed", reason="it is gone") for number in (1, 2, 3))
    broken = SAME.model_copy(update={"starts": crashes})
    found = gated(broken, BASE)
    assert (found.outcome, findings(found)["jax/keras"]) == ("regressed", "failed")
    assert report.verdict(found) == "FAILED: jax/keras no longer trains: set aside: it is gone"
    assert ET.fromstring(report.junit(found))[0].get("failures") == "1"  # noqa: S314 - written here


@pytest.mark.parametrize(("tolerance", "jax"), [(0.02, "inconclusive"), (0.9, "unchanged")])
def test_an_arm_passes_where_a_slowdown_beyond_the_tolerance_is_excluded_and_only_there(tolerance, jax):
    wide = bench("wide", noise=0.05, draw=9)
    assert gated(wide, BASE).changes[0].trend == "inconclusive"
    assert findings(gated(wide, BASE, tolerance=tolerance))["jax/keras"] == jax


# What is shown


def shown(gate, width, **options):
    console = Console(file=io.StringIO(), width=width, **({"force_terminal": True, "no_color": True} | options))
    console.print(report.terminal(gate), crop=False)
    return re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())  # type: ignore[attr-defined]


CONFIRMED = gated(SLOWER, BASE, bench("again", jax=1.2, draw=4))


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_a_window_of_any_width_shows_every_figure_whole_or_says_which_it_does_not_show(width):
    lines = shown(CONFIRMED, width).splitlines()
    assert max(map(len, lines)) <= width
    left_out = " ".join(" ".join(lines).partition("no room here for: ")[2].partition(". To see all")[0].split()).split(", ")
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.markdown(CONFIRMED).splitlines() if "|" in line]
    assert {"change", "verdict", "arm"}.isdisjoint(left_out)
    for row in rows:
        for name, cell in zip(header, row, strict=True):
            assert cell == "-" or name in left_out or any(cell in line for line in lines), cell


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (gated(SAME, BASE), r"PASSED: none of 2 arms is slower by more than 5%, with 95 % confidence each"),
        (
            gated(SLOWER, BASE),
            r"INCONCLUSIVE: jax/keras may have regressed, .+ not confirmed\. Run harness gate without --no-confirm",
        ),
        (CONFIRMED, r"REGRESSED, confirmed in fresh blocks: jax/keras takes 1\.\d+ \(1\.\d+-1\.\d+\) times what it took"),
        (gated(NOISY, BASE), r"INCONCLUSIVE: nothing is known to have regressed, but a slowdown of 5% is not excluded for .+"),
    ],
)
def test_the_first_sentence_says_what_it_comes_to(gate, said):
    assert re.fullmatch(said, report.verdict(gate))
    assert report.verdict(gate) in report.markdown(gate)


def test_an_arm_of_which_nothing_sure_is_known_has_its_reason_under_the_table():
    assert any(line.startswith("jax/keras: inconclusive: ") for line in report.lines(gated(NOISY, BASE)))


def test_junit_has_a_case_an_arm_that_fails_only_where_it_has_regressed():
    (suite,) = ET.fromstring(report.junit(CONFIRMED))  # noqa: S314 - written here
    assert suite.attrib | {"tests": "2", "failures": "1", "skipped": "0"} == suite.attrib
    assert {case.get("name"): [child.tag for child in case] for case in suite} == {"jax/keras": ["failure"], "torch/keras": []}
    (suite,) = ET.fromstring(report.junit(gated(SLOWER, BASE)))  # noqa: S314 - written here
    assert [child.tag for child in suite[0]] == ["skipped"]


def test_the_json_is_strict_and_names_the_sessions():
    few = bench("few", draw=6, n_generations=3)
    whole = json.loads(report.as_json(gated(few, BASE)), parse_constant=pytest.fail)
    assert (whole["head"], whole["base"], whole["confirmation"], whole["outcome"]) == ("few", "base", None, "inconclusive")
    assert json.loads(report.as_json(CONFIRMED))["arms"][0]["again"]["trend"] == "regressed"


# The verb


def gate(tmp_path, *more):
    """Return what `harness gate` of two folders, head and base, prints and exits with."""
    arguments = ["gate", "--against", str(tmp_path / "base"), "--results", str(tmp_path / "head"), *more]
    done = CliRunner().invoke(cli.app, arguments)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output, done.exit_code


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("again", "more", "code", "said"),
    [
        (bench("again", jax=1.2, draw=4), (), 1, "REGRESSED"),
        (bench("again", draw=4), (), 0, "PASSED"),
        (bench("again", jax=1.2, noise=0.3, draw=4), (), 3, "INCONCLUSIVE"),
        (bench("again", jax=1.2, draw=4), ("--no-confirm",), 3, "INCONCLUSIVE"),
    ],
)
def test_a_suspect_is_measured_again_unless_that_is_not_wanted(tmp_path, monkeypatch, again, more, code, said):
    kept(tmp_path / "base", BASE)
    kept(tmp_path / "head", SLOWER)
    asked = []

    def confirmed(suspects, head, config, results):
        asked.append((suspects, head.session.run_id))
        return again, False

    monkeypatch.setattr(cli_gate, "_confirmed", confirmed)
    output, found = gate(tmp_path, *more)
    assert (found, said in output) == (code, True), output
    assert asked == ([] if more else [(("jax/keras",), "slower")])


@pytest.mark.usefixtures("quick")
def test_the_newest_complete_session_is_held_against_the_newest_complete_one_that_it_may_be_compared_with(tmp_path, monkeypatch):
    old, new = bench("old", draw=1), bench("new", draw=2)
    elsewhere = bench("elsewhere", draw=5, host=benches.HOST.model_copy(update={"machine": "Another, 64 cores"}))
    unfinished = bench("unfinished", draw=6)
    for each in (old, new, elsewhere, unfinished.model_copy(update={"blocks": unfinished.blocks[:-1]})):
        kept(tmp_path / "base", each)
    for each in (bench("older", draw=7), bench("head", draw=8), unfinished.model_copy(update={"blocks": ()})):
        kept(tmp_path / "head", each)
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    output, code = gate(tmp_path, "--markdown", str(tmp_path / "gate.md"))
    assert (code, "session head against new," in output) == (0, True), output
    assert summary.read_text() == (tmp_path / "gate.md").read_text().rstrip() + "\n\n"


@pytest.mark.usefixtures("quick")
def test_what_must_not_be_compared_is_refused_with_everything_that_differs(tmp_path, monkeypatch):
    there = bench("there", host=benches.HOST.model_copy(update={"machine": "Another, 64 cores"}), threads=1)
    kept(tmp_path / "base", there)
    kept(tmp_path / "head", SAME)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    with pytest.raises(NotComparable) as refused:
        gate(tmp_path)
    lines = str(refused.value).split("\n")
    assert lines[0] == f"--against {tmp_path / 'base'}: session there must not be compared with same:"
    assert lines[1:] == [
        "  machine: Another, 64 cores there, A processor, 2 cores, 8 GiB, Linux x86_64 here",
        "  threads: 1 there, auto here",
    ]
    assert refused.value.exit_code == 4
    assert "- threads: 1 there, auto here" in (tmp_path / "summary.md").read_text()


@pytest.mark.usefixtures("quick")
def test_two_sessions_without_a_common_arm_are_not_compared(tmp_path):
    kept(tmp_path / "base", benches.bench({BASELINE: 1.0, f"{BASELINE} again": 1.0}, run_id="base", n_generations=6, n_blocks=1))
    kept(tmp_path / "head", SAME)
    with pytest.raises(NotComparable, match="no arm is in both"):
        gate(tmp_path)


@pytest.mark.usefixtures("quick")
def test_without_a_complete_session_to_compare_the_error_says_what_to_type(tmp_path):
    kept(tmp_path / "base", BASE)
    with pytest.raises(StoreError, match=r"head: no complete bench session to compare; Run: harness bench$"):
        gate(tmp_path)
    kept(tmp_path / "head", SAME.model_copy(update={"blocks": ()}))
    with pytest.raises(StoreError, match=r"head: .+; session same is not complete\. Run: harness bench --resume"):
        gate(tmp_path)


@pytest.mark.usefixtures("quick")
def test_a_session_is_not_held_against_itself(tmp_path):
    kept(tmp_path / "base", BASE)
    kept(tmp_path / "head", BASE)
    with pytest.raises(StoreError, match="its only complete session, base, is the one that is judged"):
        gate(tmp_path)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("changes", [{"host": benches.HOST.model_copy(update={"machine": "A laptop"})}, {"threads": 1}])
def test_a_confirmation_made_elsewhere_confirms_nothing(tmp_path, monkeypatch, changes):
    kept(tmp_path / "base", BASE)
    kept(tmp_path / "head", SLOWER)
    monkeypatch.setattr(cli_gate, "_confirmed", lambda *rest: (bench("again", jax=1.2, draw=4, **changes), False))
    with pytest.raises(NotComparable, match="session again, which was to confirm, must not be compared with base"):
        gate(tmp_path)


@pytest.mark.usefixtures("quick")
def test_an_interrupted_confirmation_is_no_verdict(tmp_path, monkeypatch):
    kept(tmp_path / "base", BASE)
    kept(tmp_path / "head", SLOWER)
    monkeypatch.setattr(cli_gate, "_confirmed", lambda *rest: (bench("again", jax=1.2, draw=4, n_generations=1), True))
    assert gate(tmp_path)[1] == 130


@pytest.mark.usefixtures("quick")
def test_a_newer_session_that_is_not_complete_is_named(tmp_path):
    kept(tmp_path / "base", BASE)
    kept(tmp_path / "head", SAME)
    newer = bench("newer", draw=3, started_at="2027-01-01T00:00:00.000+00:00")
    kept(tmp_path / "head", newer.model_copy(update={"blocks": newer.blocks[:-1]}))
    output, code = gate(tmp_path)
    assert code == 0
    assert "! session newer is newer and not complete: left out" in output


@pytest.mark.usefixtures("quick")
def test_a_file_that_is_no_part_of_a_session_is_named(tmp_path):
    kept(tmp_path / "head", SAME)
    folder = kept(tmp_path / "base", BASE)
    (folder / "notes.txt").write_text("mine")
    output, code = gate(tmp_path)
    assert code == 0
    assert "! left out: notes.txt: not a record" in output


# A revision


@pytest.fixture
def repository(tmp_path, quick):
    """A repository with a project in a folder of it; its first commit tracks a session, its second no longer does."""
    root = tmp_path / "repository" / "project"
    folder = kept(root / "results" / "reference", BASE)

    def git(*arguments):
        settings = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(tmp_path / "repository"), *settings, *arguments], check=True, capture_output=True)  # noqa: S607

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    git("tag", "v1")
    for file in folder.iterdir():
        file.unlink()
    (root / "notes.txt").write_text("two")
    git("add", "--all")
    git("commit", "--quiet", "-m", "two")
    return root


def test_a_revision_s_sessions_are_read_without_touching_the_working_tree(repository):
    before = sorted(repository.rglob("*"))
    with at_revision(repository, "v1", cli_gate.TRACKED) as folder:
        assert bench_store.sessions(folder) == [BASE]
    assert not folder.exists()
    with at_revision(repository, "HEAD~1", cli_gate.TRACKED) as folder:
        assert bench_store.load_all(folder).rejected == ()
    assert sorted(repository.rglob("*")) == before


@pytest.mark.parametrize(
    ("revision", "path", "kind", "said"),
    [
        ("v2", "results/reference", ConfigError, "v2: expected a results folder, or a revision that git knows here; received 'v2'"),
        ("--all", "results/reference", ConfigError, "--all: expected a results folder, or a revision"),
        ("HEAD", "results/reference", StoreError, "HEAD: no bench session under project/results/reference/bench in that revision"),
        ("v1", "elsewhere", StoreError, "v1: no bench session under project/elsewhere/bench in that revision. Name the folder that"),
    ],
)
def test_a_revision_that_has_none_is_refused_with_what_was_looked_for(repository, revision, path, kind, said):
    with pytest.raises(kind, match=re.escape(f"--against {said}")), at_revision(repository, revision, cli_gate.Path(path)):
        pass


def test_outside_of_a_repository_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ConfigError, match="--against main: neither a folder nor"), at_revision(tmp_path, "main", cli_gate.TRACKED):
        pass


def test_without_git_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="--against main: a revision needs git, which is not installed"):
        at_revision(tmp_path, "main", cli_gate.TRACKED).__enter__()
