"""The gate: slower is said only of what is slower twice, and never of what cannot be compared; each
outcome has its exit code.
"""

import io
import json
import re
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness.cli import gate as cli_gate
from harness.cli import main
from harness.cli.options import TRACKED
from harness.errors import ConfigError, NotComparable, StoreError
from harness.experiments.gate import document as report
from harness.experiments.gate.document import told
from harness.experiments.gate.judge import judge_gate
from harness.records import sessions, store
from harness.records.parity import ArmParity, Parity
from harness.records.revision import at_revision
from harness.report import terminal
from harness.report.renderers import render
from tests.unit import benches
from tests.unit.records import SPEC

BASELINE = "jax/native"
NAMES = (BASELINE, "jax/keras", "torch/keras", f"{BASELINE} again")


def bench(run_id, jax=1.0, torch=2.0, *, noise=0.002, draw=0, **changes):
    """Return a complete session in which two arms took so many times the baseline's epoch."""
    seconds = dict(zip(NAMES, (0.5, 0.5 * jax, 0.5 * torch, 0.5), strict=True))
    plain = {
        "run_id": run_id,
        "started_at": f"2026-01-{draw + 1:02d}T00:00:00+00:00",
        "n_generations": 6,
        "n_blocks": 1,
    }
    return benches.bench(seconds, process=noise, draw=draw, **plain | changes)


BASE, SAME, SLOWER = bench("base"), bench("same", draw=1), bench("slower", jax=1.2, draw=2)
NOISY = bench("noisy", noise=0.2, draw=3)


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    """Keep this machine's own window and workflow out."""
    for name in (
        "COLUMNS",
        "LINES",
        "FORCE_COLOR",
        "NO_COLOR",
        "TTY_COMPATIBLE",
        "GITHUB_STEP_SUMMARY",
    ):
        monkeypatch.delenv(name, raising=False)


def kept(results, found):
    """Keep a session in a results folder, and return the folder of its file."""
    store.ready(results, "bench")
    for part in (found.session, *found.starts, *found.blocks, *found.ends):
        file = store.add(results, part, found.session.run_id)
    return file.parent


def suite_of(gate):
    """Return the one suite of a gate's JUnit, which is written here."""
    (suite,) = ET.fromstring(render(report.compose(gate), "junit"))  # noqa: S314
    return suite


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
def test_an_arm_has_regressed_only_where_fresh_blocks_say_so_again(
    head, confirmation, outcome, jax
):
    found = judge_gate(head, BASE, confirmation)
    assert (found.outcome, findings(found)["jax/keras"]) == (outcome, jax)


def test_a_suspect_that_the_second_session_does_not_have_is_not_cleared():
    without = benches.bench(
        {BASELINE: 0.5, f"{BASELINE} again": 0.5}, run_id="again", n_generations=6, n_blocks=1
    )
    assert judge_gate(SLOWER, BASE, without).outcome == "inconclusive"


def test_one_regressed_arm_is_not_hidden_by_an_inconclusive_one():
    found = judge_gate(SLOWER, BASE, bench("again", jax=1.2, draw=4))
    doubtful = replace(
        found, changes=(found.changes[0], replace(found.changes[1], trend="inconclusive"))
    )
    assert doubtful.outcome == "regressed"


def test_an_arm_that_no_longer_trains_has_failed_and_fails_the_gate():
    crashes = tuple(
        benches.start("jax/keras", process=number, status="failed", reason="it is gone")
        for number in (1, 2, 3)
    )
    broken = SAME.model_copy(update={"starts": crashes})
    found = judge_gate(broken, BASE)
    assert (found.outcome, findings(found)["jax/keras"]) == ("regressed", "failed")
    assert report.verdict(found) == "FAILED: jax/keras no longer trains: set aside: it is gone"
    assert suite_of(found).get("failures") == "1"


@pytest.mark.parametrize(("tolerance", "jax"), [(0.02, "inconclusive"), (0.9, "unchanged")])
def test_an_arm_passes_where_a_slowdown_beyond_the_tolerance_is_excluded_and_only_there(
    tolerance, jax
):
    wide = bench("wide", noise=0.05, draw=9)
    assert judge_gate(wide, BASE).changes[0].trend == "inconclusive"
    assert findings(judge_gate(wide, BASE, tolerance=tolerance))["jax/keras"] == jax


def precise(run_id, jax, draw=3):
    """A session without noise to speak of, in which JAX takes so many times what it takes in
    `BASE`.
    """
    return bench(run_id, jax=jax, noise=0.0002, draw=draw)


@pytest.mark.parametrize(
    ("jax", "tolerance", "found"),
    [
        (1.03, 0.05, "slower within tolerance"),
        (1.03, 0.9, "slower within tolerance"),
        (1.20, 0.5, "slower within tolerance"),
        (1.03, 0.02, "suspected"),
        (1.20, 0.05, "suspected"),
        (1.001, 0.05, "unchanged"),
        (0.9, 0.05, "improved"),
    ],
)
def test_a_precise_slowdown_within_the_tolerance_passes_and_is_called_that(jax, tolerance, found):
    gate = judge_gate(precise("head", jax), precise("base", 1.0, draw=1), tolerance=tolerance)
    assert gate.changes[0].change.high - gate.changes[0].change.low < 0.01
    assert findings(gate)["jax/keras"] == found
    assert gate.outcome == ("inconclusive" if found == "suspected" else "passed")
    assert gate.suspects == (("jax/keras",) if found == "suspected" else ())
    assert ("slower within the tolerance: jax/keras takes 1." in report.verdict(gate)) == (
        found == "slower within tolerance"
    )


def test_a_suspect_that_fresh_blocks_find_slower_by_no_more_than_the_tolerance_passes():
    gate = judge_gate(
        precise("head", 1.08), precise("base", 1.0, draw=1), precise("again", 1.03, draw=4)
    )
    assert (gate.outcome, findings(gate)["jax/keras"]) == ("passed", "slower within tolerance")
    assert "slower within the tolerance: jax/keras takes 1.030" in report.verdict(gate)


# Numbers before speed


def with_ends(made, name, accuracy):
    ends = (
        each.model_copy(update={"test_accuracy": accuracy(each)}) if each.name == name else each
        for each in made.ends
    )
    return made.model_copy(update={"ends": tuple(ends)})


def parity_of(verdict, name, started_at="2026-01-01T00:00:00.000+00:00"):
    backend, implementation = name.split("/")
    versions = {"keras": "3.15.1", "framework_version": benches.VERSIONS[backend], "numpy": "2.4.6"}
    checked = ArmParity(
        backend=backend,
        implementation=implementation,
        module=f"{implementation}_fit",
        device="cpu",
        versions=versions,
        verdict=verdict,
    )
    return Parity(
        harness="0.4.0",
        run_id="20260101T000000Z-parity",
        spec_name="mnist-mlp",
        spec=SPEC,
        seed=0,
        data=benches.DATA,
        device="cpu",
        threads="auto",
        host=benches.HOST,
        started_at=started_at,
        total_s=1.0,
        verdict="agrees",
        arms=(checked,),
    )


FIFTH = with_ends(
    bench("head", jax=0.2, draw=2), "jax/keras", lambda end: 0.10
)  # trains on a fifth of the data
ALL_AGREE = tuple(parity_of("agrees", name) for name in NAMES[:3])


@pytest.mark.parametrize("head", [FIFTH, with_ends(SLOWER, "jax/keras", lambda end: 0.9845)])
def test_an_arm_of_another_accuracy_has_failed_whatever_its_time(head):
    gate = judge_gate(head, BASE, parities=ALL_AGREE)
    assert (gate.outcome, findings(gate)["jax/keras"], findings(gate)["torch/keras"]) == (
        "regressed",
        "failed",
        "unchanged",
    )
    assert gate.suspects == ()  # nothing is left to confirm
    assert report.verdict(gate).startswith("FAILED: jax/keras: its accuracy is different: ")
    suite = suite_of(gate)
    assert {case.get("name"): [child.tag for child in case] for case in suite} == {
        "jax/keras": ["failure"],
        "torch/keras": [],
    }
    assert json.loads(render(report.compose(gate), "json"))["numbers"][1]["failed"].startswith(
        "its accuracy is different"
    )


@pytest.mark.parametrize("verdict", ["departs", "failed"])
def test_an_arm_whose_newest_parity_verdict_is_bad_has_failed(verdict):
    older = parity_of(
        "agrees" if verdict == "departs" else "departs",
        "torch/keras",
        "2025-01-01T00:00:00.000+00:00",
    )
    gate = judge_gate(
        SAME, BASE, parities=[*ALL_AGREE[:2], older, parity_of(verdict, "torch/keras")]
    )
    assert (gate.outcome, findings(gate)["torch/keras"]) == ("regressed", "failed")
    assert "FAILED: torch/keras: it" in report.verdict(gate)
    again = parity_of("agrees", "torch/keras", "2026-02-01T00:00:00.000+00:00")
    assert (
        judge_gate(SAME, BASE, parities=[parity_of(verdict, "torch/keras"), again]).outcome
        == "passed"
    )


def test_what_was_not_checked_passes_only_with_the_sentence_that_says_so():
    assert report.verdict(judge_gate(SAME, BASE, parities=ALL_AGREE)).endswith(
        "with 95 % confidence each"
    )
    part = report.verdict(judge_gate(SAME, BASE, parities=ALL_AGREE[:2]))
    assert part.endswith(
        ". torch/keras: not checked against the referee, so equal numbers are not known (nox -s "
        "parity checks them)."
    )


def test_accuracy_is_paired_with_the_earlier_session_by_seed_where_the_baseline_would_hide_it():
    # All arms of the new session lost what all of the old one had; seeds differ by far more than
    # that.
    def of_seed(lost):
        return lambda end: 0.90 + 0.01 * end.generation - lost

    then, now = BASE, SAME
    for name in NAMES:
        then, now = with_ends(then, name, of_seed(0.0)), with_ends(now, name, of_seed(0.004))
    gate = judge_gate(now, then, parities=ALL_AGREE)
    assert {each.to_baseline.verdict for each in gate.numbers if each.to_baseline} == {"equivalent"}
    assert {each.to_base.verdict for each in gate.numbers} == {"different"}
    assert set(gate.failures) == set(NAMES[:3])
    assert (
        "jax/native, the baseline of all ratios: its accuracy is different: 0.40 points lower"
        in report.verdict(gate)
    )
    assert judge_gate(then, then, parities=ALL_AGREE).failures == {}


def test_a_baseline_of_other_numbers_fails_the_gate_and_is_a_case_of_its_own():
    gate = judge_gate(SLOWER, BASE, parities=[parity_of("departs", BASELINE)])
    assert (gate.outcome, gate.suspects) == ("regressed", ())
    suite = suite_of(gate)
    assert {case.get("name") for case in suite if case.find("failure") is not None} == {BASELINE}


def test_seeds_that_are_not_shared_are_not_paired_and_that_is_said():
    starts = tuple(each.model_copy(update={"weights_sha256": "e" * 64}) for each in BASE.starts)
    gate = judge_gate(
        SAME, with_ends(BASE.model_copy(update={"starts": starts}), "jax/keras", lambda end: 0.5)
    )
    assert all(each.to_base is None for each in gate.numbers)
    assert gate.outcome == "passed"
    said = [
        remark
        for remark in told(gate.remarks)
        if "is not compared with the earlier session's: seeds are not shared" in remark
    ]
    assert said[0].startswith(", ".join(NAMES[:3]))


def test_models_of_different_numbers_of_epochs_are_not_paired_and_that_is_said():
    gate = judge_gate(SAME, bench("base", n_blocks=3))
    assert all(each.to_base is None for each in gate.numbers)
    assert any("models trained 4 epochs there, 2 here" in remark for remark in told(gate.remarks))


def test_an_accuracy_that_cannot_be_told_passes_with_a_sentence():
    gate = judge_gate(
        with_ends(SAME, "jax/keras", lambda end: 0.98 + 0.02 * (-1) ** end.generation),
        BASE,
        parities=ALL_AGREE,
    )
    assert (gate.outcome, gate.numbers[1].accuracy) == ("passed", "inconclusive")
    assert any(
        remark.startswith("jax/keras: equal accuracy is not known") for remark in told(gate.remarks)
    )


# Many arms


def test_a_change_that_is_sure_by_itself_is_not_suspected_among_many_changes():
    def session(run_id, n_arms, jax=1.0, draw=0):
        names = (
            BASELINE,
            "jax/keras",
            *(f"torch/a{number}" for number in range(n_arms - 1)),
            f"{BASELINE} again",
        )
        seconds = dict.fromkeys(names, 1.0) | {"jax/keras": jax}
        return benches.bench(
            seconds, process=0.02, draw=draw, run_id=run_id, n_generations=10, n_blocks=1
        )

    few, many = (
        judge_gate(session("head", n, 1.025, draw=6), session("base", n)).changes[0]
        for n in (1, 12)
    )
    assert few.trend == "regressed"
    assert many.trend == "inconclusive"
    assert "not with 95 % confidence for all comparisons" in many.reason


# What is shown


def shown(gate, width, **options):
    console = Console(
        file=io.StringIO(), width=width, **({"force_terminal": True, "no_color": True} | options)
    )
    terminal.show(report.compose(gate), console)
    return re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())  # type: ignore[attr-defined]


CONFIRMED = judge_gate(SLOWER, BASE, bench("again", jax=1.2, draw=4))


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_a_window_of_any_width_shows_every_figure_whole_or_says_which_it_does_not_show(width):
    lines = shown(CONFIRMED, width).splitlines()
    assert max(map(len, lines)) <= width
    left_out = " ".join(
        " ".join(lines).partition("no room here for: ")[2].partition(". To see all")[0].split()
    ).split(", ")
    header, _, *rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in render(report.compose(CONFIRMED), "markdown").splitlines()
        if "|" in line
    ]
    assert {"change", "verdict", "arm"}.isdisjoint(left_out)
    for row in rows:
        for name, cell in zip(header, row, strict=True):
            assert cell == "-" or name in left_out or any(cell in line for line in lines), cell


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (
            judge_gate(SAME, BASE),
            r"PASSED: none of 2 arms is slower by more than 5%, with 95 % confidence each\. No "
            r"arm was checked against the referee, .+",
        ),
        (
            judge_gate(SLOWER, BASE),
            r"INCONCLUSIVE: jax/keras may have regressed, .+ not confirmed\. Run harness gate "
            r"without --no-confirm",
        ),
        (
            CONFIRMED,
            r"REGRESSED, confirmed in fresh blocks: jax/keras takes 1\.\d+ \(1\.\d+-1\.\d+\) "
            r"times what it took",
        ),
        (
            judge_gate(NOISY, BASE),
            r"INCONCLUSIVE: nothing is known to have regressed, but a slowdown of 5% is not "
            r"excluded for .+",
        ),
    ],
)
def test_the_first_sentence_says_what_it_comes_to(gate, said):
    assert re.fullmatch(said, report.verdict(gate))
    assert report.verdict(gate) in render(report.compose(gate), "markdown")


def test_an_arm_of_which_nothing_sure_is_known_has_its_reason_under_the_table():
    assert any(
        line.startswith("jax/keras: inconclusive: ")
        for line in report.lines(judge_gate(NOISY, BASE))
    )


def test_junit_has_a_case_an_arm_that_fails_only_where_it_has_regressed():
    suite = suite_of(CONFIRMED)
    assert suite.attrib | {"tests": "2", "failures": "1", "skipped": "0"} == suite.attrib
    assert {case.get("name"): [child.tag for child in case] for case in suite} == {
        "jax/keras": ["failure"],
        "torch/keras": [],
    }
    unconfirmed = suite_of(judge_gate(SLOWER, BASE))
    assert [child.tag for child in unconfirmed[0]] == ["skipped"]


def test_the_json_is_strict_and_names_the_sessions():
    few = bench("few", draw=6, n_generations=3)
    whole = json.loads(
        render(report.compose(judge_gate(few, BASE)), "json"), parse_constant=pytest.fail
    )
    assert (whole["head"], whole["base"], whole["confirmation"], whole["outcome"]) == (
        "few",
        "base",
        None,
        "inconclusive",
    )
    assert (
        json.loads(render(report.compose(CONFIRMED), "json"))["arms"][0]["again"]["trend"]
        == "regressed"
    )


# The verb


def gate(tmp_path, *more):
    """Return what `harness gate` of two folders, head and base, prints and exits with."""
    arguments = [
        "gate",
        "--against",
        str(tmp_path / "base"),
        "--results",
        str(tmp_path / "head"),
        *more,
    ]
    done = CliRunner().invoke(main.app, arguments)
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
def test_a_suspect_is_measured_again_unless_that_is_not_wanted(
    tmp_path, monkeypatch, again, more, code, said
):
    kept(tmp_path / "base", BASE)
    kept(tmp_path / "head", SLOWER)
    asked = []

    def confirmed(suspects, head, options, results):
        asked.append((suspects, head.session.run_id))
        return again, False

    monkeypatch.setattr(cli_gate, "_measure_again", confirmed)
    output, found = gate(tmp_path, *more)
    assert (found, said in output) == (code, True), output
    assert asked == ([] if more else [(("jax/keras",), "slower")])


@pytest.mark.usefixtures("quick")
def test_numbers_fail_the_verb_whatever_the_time(tmp_path):
    kept(tmp_path / "base", BASE)
    kept(tmp_path / "head", FIFTH)
    output, code = gate(tmp_path)
    assert (code, "FAILED: jax/keras: its accuracy is different: 88.00 points lower" in output) == (
        1,
        True,
    ), output


@pytest.mark.usefixtures("quick")
def test_the_verb_reads_the_parity_records_of_the_newest_session_s_folder(tmp_path):
    kept(tmp_path / "base", BASE)
    kept(tmp_path / "head", SAME)
    assert gate(tmp_path)[1] == 0
    store.ready(tmp_path / "head")
    store.add(tmp_path / "head", parity_of("departs", "torch/keras"))
    output, code = gate(tmp_path)
    assert (code, "FAILED: torch/keras: it departs from the referee" in output) == (1, True), output


@pytest.mark.usefixtures("quick")
def test_the_newest_complete_session_is_held_against_the_newest_that_it_may_be_compared_with(
    tmp_path, monkeypatch
):
    old, new = bench("old", draw=1), bench("new", draw=2)
    elsewhere = bench("elsewhere", draw=5, host=replace(benches.HOST, machine="Another, 64 cores"))
    unfinished = bench("unfinished", draw=6)
    for each in (
        old,
        new,
        elsewhere,
        unfinished.model_copy(update={"blocks": unfinished.blocks[:-1]}),
    ):
        kept(tmp_path / "base", each)
    for each in (
        bench("older", draw=7),
        bench("head", draw=8),
        unfinished.model_copy(update={"blocks": ()}),
    ):
        kept(tmp_path / "head", each)
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    output, code = gate(tmp_path, "--markdown", str(tmp_path / "gate.md"))
    assert (code, "session head against new," in output) == (0, True), output
    assert summary.read_text() == (tmp_path / "gate.md").read_text().rstrip() + "\n\n"


@pytest.mark.usefixtures("quick")
def test_what_must_not_be_compared_is_refused_with_everything_that_differs(tmp_path, monkeypatch):
    there = bench("there", host=replace(benches.HOST, machine="Another, 64 cores"), threads=1)
    kept(tmp_path / "base", there)
    kept(tmp_path / "head", SAME)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    with pytest.raises(NotComparable) as refused:
        gate(tmp_path)
    lines = str(refused.value).split("\n")
    assert (
        lines[0] == f"--against {tmp_path / 'base'}: session there must not be compared with same:"
    )
    assert lines[1:] == [
        "  machine: Another, 64 cores there, A processor, 2 cores, 8 GiB, Linux x86_64 here",
        "  threads: 1 there, auto here",
    ]
    assert refused.value.exit_code == 4
    assert "- threads: 1 there, auto here" in (tmp_path / "summary.md").read_text()


@pytest.mark.usefixtures("quick")
def test_two_sessions_without_a_common_arm_are_not_compared(tmp_path):
    kept(
        tmp_path / "base",
        benches.bench(
            {BASELINE: 1.0, f"{BASELINE} again": 1.0}, run_id="base", n_generations=6, n_blocks=1
        ),
    )
    kept(tmp_path / "head", SAME)
    with pytest.raises(NotComparable, match="no arm is in both"):
        gate(tmp_path)


@pytest.mark.usefixtures("quick")
def test_without_a_complete_session_to_compare_the_error_says_what_to_type(tmp_path):
    kept(tmp_path / "base", BASE)
    with pytest.raises(
        StoreError, match=r"head: no complete bench session to compare; Run: harness bench$"
    ):
        gate(tmp_path)
    kept(tmp_path / "head", SAME.model_copy(update={"blocks": ()}))
    with pytest.raises(
        StoreError, match=r"head: .+; session same is not complete\. Run: harness bench --resume"
    ):
        gate(tmp_path)


@pytest.mark.usefixtures("quick")
def test_a_session_is_not_held_against_itself(tmp_path):
    kept(tmp_path / "base", BASE)
    kept(tmp_path / "head", BASE)
    with pytest.raises(
        StoreError, match="its only complete session, base, is the one that is judged"
    ):
        gate(tmp_path)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "changes", [{"host": replace(benches.HOST, machine="A laptop")}, {"threads": 1}]
)
def test_a_confirmation_made_elsewhere_confirms_nothing(tmp_path, monkeypatch, changes):
    kept(tmp_path / "base", BASE)
    kept(tmp_path / "head", SLOWER)
    monkeypatch.setattr(
        cli_gate,
        "_measure_again",
        lambda *rest: (bench("again", jax=1.2, draw=4, **changes), False),
    )
    with pytest.raises(
        NotComparable, match="session again, which was to confirm, must not be compared with base"
    ):
        gate(tmp_path)


@pytest.mark.usefixtures("quick")
def test_an_interrupted_confirmation_is_no_verdict(tmp_path, monkeypatch):
    kept(tmp_path / "base", BASE)
    kept(tmp_path / "head", SLOWER)
    monkeypatch.setattr(
        cli_gate,
        "_measure_again",
        lambda *rest: (bench("again", jax=1.2, draw=4, n_generations=1), True),
    )
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
    assert "! left out: notes.txt: no session" in output


# A revision


@pytest.fixture
def repository(tmp_path, quick):
    """A repository with a project in a folder of it; its first commit tracks a session, its second
    no longer does.
    """
    root = tmp_path / "repository" / "project"
    folder = kept(root / "results" / "reference", BASE)

    def git(*arguments):
        settings = (
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@example.com",
            "-c",
            "commit.gpgsign=false",
        )
        subprocess.run(
            ["git", "-C", str(tmp_path / "repository"), *settings, *arguments],  # noqa: S607
            check=True,
            capture_output=True,
        )

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
    with at_revision(repository, "v1", TRACKED) as folder:
        assert sessions.load_all(folder).sessions == (BASE,)
    assert not folder.exists()
    with at_revision(repository, "HEAD~1", TRACKED) as folder:
        assert sessions.load_all(folder).rejected == ()
    assert sorted(repository.rglob("*")) == before


@pytest.mark.parametrize(
    ("revision", "path", "kind", "said"),
    [
        (
            "v2",
            "results/reference",
            ConfigError,
            "v2: expected a results folder, or a revision that git knows here; received 'v2'",
        ),
        (
            "--all",
            "results/reference",
            ConfigError,
            "--all: expected a results folder, or a revision",
        ),
        (
            "HEAD",
            "results/reference",
            StoreError,
            "HEAD: no bench session under project/results/reference/bench in that revision",
        ),
        (
            "v1",
            "elsewhere",
            StoreError,
            "v1: no bench session under project/elsewhere/bench in that revision. Name the folder "
            "that",
        ),
    ],
)
def test_a_revision_that_has_none_is_refused_with_what_was_looked_for(
    repository, revision, path, kind, said
):
    with (
        pytest.raises(kind, match=re.escape(f"--against {said}")),
        at_revision(repository, revision, cli_gate.Path(path)),
    ):
        pass


def test_outside_of_a_repository_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with (
        pytest.raises(ConfigError, match="--against main: neither a folder nor"),
        at_revision(tmp_path, "main", TRACKED),
    ):
        pass


def test_without_git_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ConfigError, match="--against main: a revision needs git, which is not installed"
    ):
        at_revision(tmp_path, "main", TRACKED).__enter__()
