"""Records changed at random: each is shown or named and left out, all others are shown, and nothing
else happens.
"""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.experiments.bench import document as bench_report
from harness.experiments.bench.judge import summarize
from harness.experiments.bench.remaining import unfinished_generations
from harness.experiments.gate import document as gate_report
from harness.experiments.gate.judge import judge_gate
from harness.experiments.gate.regression import why_incomparable
from harness.experiments.parity import document as parity_report
from harness.experiments.train import document, judge
from harness.records import frame, sessions, store
from harness.report.renderers import render
from tests.attacks.hostile import REFERENCE, cases, file_name, harmed, stem_for, within, written
from tests.attacks.parsing import assert_sound_csv, assert_sound_markdown, assert_sound_xml, shown

SESSION = sorted((REFERENCE / "bench").iterdir())[0].name
ROOMS = ("runs", "parity")
PARTS = ("session", "g01.b01.1", "g02.start.jax-keras.1", "g03.end.torch-keras.1", "sitting.1")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked") / "results"
    for room in ROOMS:
        shutil.copytree(REFERENCE / room, folder / room)
    shutil.copytree(REFERENCE / "bench" / SESSION, folder / "bench" / SESSION)
    return folder


@pytest.fixture(scope="module")
def sound(results):
    """All that is whole, before anything is changed: records and sessions."""
    return store.load_all(results), sessions.load_all(REFERENCE).sessions


def victims(results, room):
    return sorted((results / room).iterdir())


@st.composite
def changes(draw, files):
    """Return a file of these, and what takes its place."""
    file = draw(st.sampled_from(files))
    return file, draw(harmed(json.loads(file.read_bytes())))


def show_runs(loaded, before):
    """Show all records, and the checks that were not there before, in every format."""
    tables = judge.compare(loaded.records, parities=loaded.parities)
    shown(document.compose(tables, loaded.rejected))
    assert_sound_markdown(render(document.compose(tables, loaded.rejected), "markdown"))
    assert_sound_csv(render(document.compose(tables), "csv"))
    json.loads(render(document.compose(tables, loaded.rejected), "json"))
    for parity in [each for each in loaded.parities if each not in before.parities]:
        shown(parity_report.compose(parity))
        assert_sound_markdown(render(parity_report.compose(parity), "markdown"))
        assert_sound_xml(render(parity_report.compose(parity), "junit"))


def show_session(bench, parities, others):
    found = summarize(bench, parities, own_cost=bench.own_cost)
    unfinished_generations(bench)
    shown(bench_report.compose(found, bench))
    assert_sound_markdown(render(bench_report.compose(found, bench), "markdown"))
    assert_sound_csv(render(bench_report.compose(found, bench), "csv"))
    json.loads(render(bench_report.compose(found, bench), "json"))
    for other in others[:1]:
        for head, base in ((bench, other), (other, bench)):
            why_incomparable(head, base)
            gate = judge_gate(head, base, head)
            shown(gate_report.compose(gate))
            assert_sound_markdown(render(gate_report.compose(gate), "markdown"))
            assert_sound_xml(render(gate_report.compose(gate), "junit"))
            json.loads(render(gate_report.compose(gate), "json"))


def attack_a_record(results, sound, room, change, *, beside):
    """Put a changed record beside its original, or in its place, and show everything."""
    before, _ = sound
    file, value = change
    content = written(value)
    strange = file.parent / file_name(stem_for(value, file.name.rsplit(".", 2)[0]), content)
    aside = file.with_name(f".{file.name}")
    if not beside:
        file.rename(aside)
    try:
        strange.write_bytes(content)
        with within(10):
            loaded = frame.project(results)
            show_runs(loaded, before)
        kept, were = (
            (loaded.records, before.records)
            if room == "runs"
            else (loaded.parities, before.parities)
        )
        others = {each.run_id for each in were} - {file.name.rsplit(".", 2)[0]}
        assert others <= {each.run_id for each in kept} | {strange.name.rsplit(".", 2)[0]}
        assert len({each.run_id for each in kept}) == len(kept), "one run counts once"
        said = [entry.file.name for entry in loaded.rejected]
        assert len(kept) + len(said) == len(were) + beside, said
        assert_sound_csv((results / "results.csv").read_text(encoding="utf-8"))
    finally:
        strange.unlink()
        if not beside:
            aside.rename(file)
        else:
            assert file.is_file()


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("beside", [True, False])
def test_a_changed_record_is_shown_or_named_and_all_others_are_shown(results, sound, room, beside):
    @cases(100)
    @given(changes(victims(results, room)))
    def attack(change):
        attack_a_record(results, sound, room, change, beside=beside)

    attack()


@pytest.mark.parametrize("part", PARTS)
def test_a_changed_part_of_a_session_is_shown_or_named_and_the_rest_goes_on(results, sound, part):
    before, benches = sound
    folder = results / "bench" / SESSION
    (file,) = folder.glob(f"{part}.*.json")

    @cases(60)
    @given(changes([file]))
    def attack(change):
        _, value = change
        content = written(value)
        strange = folder / file_name(part, content)
        aside = file.with_name(f".{file.name}")
        file.rename(aside)
        try:
            strange.write_bytes(content)
            with within(10):
                loaded = sessions.load_all(results)
                for bench in loaded.sessions:
                    show_session(bench, before.parities, benches)
            assert loaded.sessions or part == "session"
            if loaded.sessions:
                (bench,) = loaded.sessions
                n_parts = (
                    sum(map(len, (bench.starts, bench.blocks, bench.ends, bench.sittings))) + 1
                )
                assert n_parts + len(loaded.rejected) == len(
                    [each for each in folder.iterdir() if not each.name.startswith(".")]
                )
        finally:
            strange.unlink()
            aside.rename(file)

    attack()


def test_the_command_line_says_what_it_leaves_out_and_never_fails_otherwise(
    results, sound, capsys, monkeypatch
):
    from harness.cli import main

    @cases(40)
    @given(
        changes(victims(results, "runs")), st.sampled_from(["terminal", "markdown", "csv", "json"])
    )
    def attack(change, form):
        file, value = change
        content = written(value)
        strange = file.parent / file_name("strange", content)
        strange.write_bytes(content)
        monkeypatch.setattr("sys.argv", ["harness"])
        try:
            with within(10):
                main.app(
                    ["compare", "--results", str(results), "--format", form], standalone_mode=False
                )
        except HarnessError:
            pytest.fail("one strange file takes no report down")
        finally:
            strange.unlink()
        out = capsys.readouterr().out
        if form in ("terminal", "markdown"):
            assert "left out: strange." in out

    attack()
    assert Path(results / "results.csv").is_file()
