"""The verbs as functions of Python, on records that are kept; a whole run is in tests/e2e."""

import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.cli import python
from harness.cli.answer import Answer
from harness.errors import ConfigError, StoreError
from harness.report.document import Cell, Code, Document, Heading, Paragraph, Sentence, Table, words
from harness.report.renderers import render

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
HOSTILE = "<script>alert('&')</script>"
LEAN = """
import sys
import harness
harness.__version__
print(*sorted({"typer", "numpy", "pydantic", "rich", "keras"} & {*sys.modules}))
from harness import bench
print(*sorted({"tensorflow", "jax", "torch", "keras", "scipy"} & {*sys.modules}))
"""


@pytest.fixture(scope="module")
def answer():
    return harness.bench(show=True, results=REFERENCE)


def test_the_newest_session_is_a_value_that_prints_as_the_command_does(answer):
    shown = subprocess.run(
        [sys.executable, "-m", "harness", "bench", "--show", "--results", str(REFERENCE)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert str(answer) == repr(answer) == shown.stdout.rstrip("\n")
    assert answer.exit_code == shown.returncode
    assert {block.generation for block in answer.record.blocks} >= {1, 6}
    assert answer.findings["standing"]["baseline"] == "jax/keras"


def test_a_notebook_shows_the_same_table_and_sentences(answer):
    shown = answer._repr_html_()
    (table,) = (block for block in answer.document.blocks if isinstance(block, Table))
    assert shown.count("<tr>") == 1 + len(table.rows)
    assert shown.count("<th ") == len(table.columns)
    assert f">{table.rows[0][0]}</td>" in shown


def test_text_of_others_is_no_html():
    blocks = (
        Heading(HOSTILE),
        Sentence(HOSTILE, "bad"),
        Paragraph((HOSTILE,), "aside"),
        Code(f"{HOSTILE}\n{HOSTILE}"),
        Table(words(HOSTILE), ((HOSTILE,), (Cell(HOSTILE, "good"),))),
    )
    shown = render(Document(blocks), "notebook")
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;alert(&#x27;&amp;&#x27;)") == 8


def test_the_package_imports_nothing_until_a_verb_is_named():
    done = subprocess.run(
        [sys.executable, "-c", LEAN], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "\n\n"


def test_what_is_no_verb_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'benhc'"):
        harness.benhc  # noqa: B018


BAD = {
    "an option that there is not": (
        {"generatons": 3},
        "bench: unknown argument: expected one of .*; received 'generatons'. Did you mean 'gen",
    ),
    "a number out of its range": ({"generations": 0}, "bench: Invalid value for '--generations'"),
    "another kind of value": ({"generations": True}, "bench: Invalid value for '--generations'"),
    "a choice that there is not": ({"device": "tpu"}, "bench: Invalid value for '--device'"),
    "a blank": ({"spec": " "}, "--spec: expected a value; received ' '"),
}


@pytest.mark.parametrize(("given", "sentence"), BAD.values(), ids=BAD.keys())
def test_an_argument_is_held_to_what_the_command_takes(given, sentence):
    with pytest.raises(ConfigError, match=sentence):
        harness.bench(**given)


def test_a_verb_without_arms_takes_none():
    with pytest.raises(TypeError):
        harness.gate("jax")


def test_errors_are_raised_and_nothing_exits(tmp_path):
    with pytest.raises(StoreError, match="no bench session to show"):
        harness.bench(show=True, results=tmp_path)


def test_true_and_false_are_an_option_and_its_other_form():
    command = python._commands()["gate"]
    for given, typed in (
        ({"confirm": False}, ["--no-confirm"]),
        ({"confirm": True, "no_wait": True}, ["--confirm", "--no-wait"]),
        ({"no_wait": False, "tolerance": None}, []),
    ):
        assert list(python._named("gate", command, given)) == typed


def test_a_gate_is_a_value_too():
    answer = harness.gate(against=REFERENCE, results=REFERENCE, confirm=False)
    assert answer.exit_code in (0, 1, 3)
    assert answer.record.outcome in str(answer)


def test_files_are_written_as_the_command_writes_them(tmp_path):
    answer = harness.bench(show=True, results=REFERENCE, csv=tmp_path / "arms.csv", json=None)
    assert (tmp_path / "arms.csv").read_text() == render(answer.document, "csv")
    assert isinstance(answer, Answer)
