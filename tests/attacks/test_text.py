"""Hostile text in every field of every record, in every format: parsed back, it is text and nothing
else.
"""

import copy
import json
from dataclasses import asdict
from typing import Any

from hypothesis import given
from pydantic import BaseModel, ValidationError

from harness.errors import safe
from harness.errors.safe import as_csv
from harness.experiments.bench import document as bench_report
from harness.experiments.bench.judge import summarize
from harness.experiments.gate import document as gate_report
from harness.experiments.gate.judge import judge_gate
from harness.experiments.parity import document as parity_report
from harness.experiments.parity import model_document as model_report
from harness.experiments.train import document, judge
from harness.records import store
from harness.records.bench import Bench
from harness.records.files import Rejected
from harness.records.frame import row
from harness.records.parity import Parity
from harness.records.record import Record
from harness.records.user_model import ModelParity
from harness.report import progress
from harness.report.renderers import render
from tests.attacks.hostile import REFERENCE, TEXTS, at, cases, places
from tests.attacks.parsing import (
    assert_plain,
    assert_sound_csv,
    assert_sound_markdown,
    assert_sound_xml,
    shown,
)
from tests.unit import benches
from tests.unit.records import record

KEYED = (
    "turns",
    "processes",
    "memory_bytes",
    "floors",
    "twins",
    "drift",
    "gates",
)  # whose keys are text from elsewhere


def accepts(kind: type[BaseModel], value: Any) -> bool:
    try:
        kind.model_validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True


class Plantable:
    """A record, and where it may hold text from elsewhere: in every field that takes any text."""

    def __init__(self, record: BaseModel) -> None:
        self.kind = type(record)
        self.value = json.loads(record.model_dump_json())
        words = [place for place in places(self.value) if isinstance(at(self.value, place), str)]
        self.free = [
            place for place in words if accepts(self.kind, self._changed([place], "\x1b="))
        ]
        assert self.free

    def _changed(self, wanted: list[tuple[Any, ...]], text: str) -> Any:
        value = copy.deepcopy(self.value)
        for place in wanted:
            at(value, place[:-1])[place[-1]] = text + at(value, place)
        return keyed(value, text) if len(wanted) > 1 else value

    def planted(self, text: str) -> Any:
        return self.kind.model_validate_json(json.dumps(self._changed(self.free, text)))


def keyed(value: Any, text: str, here: str = "") -> Any:
    """Return a value in which the keys of KEYED begin with the text."""
    if isinstance(value, dict):
        return {
            (text + key if here in KEYED else key): keyed(inner, text, "" if here in KEYED else key)
            for key, inner in value.items()
        }
    return [keyed(inner, text, here) for inner in value] if isinstance(value, list) else value


def everywhere(whole: Bench) -> Plantable:
    """Return a session of which the plan's checks see each change whole: all fields at once, or
    none.
    """
    plantable = object.__new__(Plantable)
    plantable.kind, plantable.value = Bench, json.loads(whole.model_dump_json())
    session, parts = Plantable(whole.session), {"starts", "blocks", "ends", "sittings"}
    names = {
        ("session", "entrants", number, "name") for number in range(len(whole.session.entrants))
    }
    names |= {("session", "baseline"), ("session", "again")}
    free = {("session", *place) for place in session.free} | names
    for part in parts:
        for number, each in enumerate(getattr(whole, part)):
            free |= (
                {(part, number, *place) for place in Plantable(each).free}
                if part != "sittings"
                else set()
            )
    plantable.free = sorted(free, key=str)
    return plantable


def check() -> Parity:
    return max(
        store.load_all(REFERENCE).parities,
        key=lambda parity: (
            len(parity.free_runs) + 1000 * any(arm.departures for arm in parity.arms)
        ),
    )


def checked_model() -> ModelParity:
    backends = [
        {
            "backend": name,
            "device": "cpu",
            "versions": {"framework_version": "1"},
            "verdict": verdict,
            "reason": "why",
        }
        for name, verdict in (
            ("jax", "agrees"),
            ("torch", "departs"),
            ("tensorflow", "failed"),
            ("numpy", "no majority"),
        )
    ]
    plain = {
        "harness": "0.5.0",
        "model": "m.py:build",
        "batch": "m.py:batch",
        "seed": 0,
        "device": "auto",
        "threads": "auto",
    }
    plain |= {
        "run_id": "m",
        "host": asdict(record().host),
        "started_at": "2026-01-01",
        "total_s": 1.0,
        "verdict": "departs",
        "backends": backends,
        "remarks": ["so"],
    }
    return ModelParity.model_validate_json(json.dumps(plain))


RUNS = [Plantable(record(seed=seed)) for seed in (0, 1)]
RUNS += [Plantable(record(status="failed", reason="out of memory", backend="torch"))]
CRASHED = benches.end("jax/keras", 6, status="failed", reason="killed", log_tail="gone")
SMALL = benches.bench(n_generations=6, n_blocks=1)
SESSION = everywhere(
    SMALL.model_copy(
        update={
            "ends": (*SMALL.ends, *[CRASHED] * 3),
            "blocks": (
                *SMALL.blocks,
                benches.block(1, 1, {"jax/keras": 1.0}, attempt=2, invalid="jax/keras: others"),
            ),
        }
    )
)
CHECK, MODEL = Plantable(check()), Plantable(checked_model())


@cases(120)
@given(TEXTS)
def test_in_runs(text):
    records = [each.planted(text) for each in RUNS]
    rejected = (Rejected(REFERENCE / f"{text.replace('/', '')}.json", text),)
    tables = judge.compare(records)
    seen = shown(document.compose(tables, rejected))
    assert_sound_markdown(render(document.compose(tables, rejected), "markdown"))
    assert len(assert_sound_csv(render(document.compose(tables), "csv"))) == sum(
        len(each.rows) for each in tables
    )
    (line, *_) = assert_sound_csv(as_csv(row(each) for each in records))
    assert float(line["total_s"]) == records[0].total_s, "numbers stay numbers"
    json.loads(render(document.compose(tables, rejected), "json"))
    assert f"failed: {safe.one_line(text)}" in seen, "markup is shown as it is written"
    for each in records:
        assert_plain(progress.line(each))


@cases(80)
@given(TEXTS)
def test_in_a_session(text):
    whole = SESSION.planted(text)
    found = summarize(whole, own_cost=0.01)
    shown(bench_report.compose(found, whole))
    assert_sound_markdown(render(bench_report.compose(found, whole), "markdown"))
    assert len(assert_sound_csv(render(bench_report.compose(found, whole), "csv"))) == len(
        found.arms
    )
    json.loads(render(bench_report.compose(found, whole), "json"))
    gate = judge_gate(whole, whole, whole)
    shown(gate_report.compose(gate))
    assert_sound_markdown(render(gate_report.compose(gate), "markdown"))
    assert_sound_xml(render(gate_report.compose(gate), "junit"))


@cases(100)
@given(TEXTS)
def test_in_a_parity_check(text):
    found = CHECK.planted(text)
    shown(parity_report.compose(found))
    assert_sound_markdown(render(parity_report.compose(found), "markdown"))
    assert_sound_xml(render(parity_report.compose(found), "junit"))


@cases(100)
@given(TEXTS)
def test_in_a_check_of_a_user_s_model(text):
    found = MODEL.planted(text)
    shown(model_report.compose(found))
    assert_sound_xml(render(model_report.compose(found), "junit"))


@cases(200)
@given(TEXTS)
def test_in_an_error_of_this_program(text):
    said = safe.for_terminal(f"{text}\n{text}")
    assert_plain(said, "\n")
    _, *others = said.split("\n")
    assert all(line.startswith("  ") for line in others)


def test_what_no_encoding_can_write_is_shown_as_unknown():
    for mark in ("\ud800", "\udcff"):
        assert safe.for_terminal(f"a{mark}b") == "a\ufffdb"
        assert safe.for_xml(mark) == safe.for_csv(mark) == safe.for_markdown(mark) == "\ufffd"


def test_every_kind_of_record_has_its_texts_attacked():
    assert {each.kind for each in (*RUNS, SESSION, CHECK, MODEL)} == {
        Record,
        Bench,
        Parity,
        ModelParity,
    }
    assert min(len(each.free) for each in (*RUNS, SESSION, CHECK, MODEL)) >= 10
