"""Hostile arguments: every verb with its own options and whatever values, in a project without
environments, so that no run starts.
"""

import os
import re
import shutil
import sys
import time
from pathlib import Path

import typer.main
from hypothesis import strategies as st

from harness.cli import main
from tests.attacks.configurations import HOSTILE_NUMBER, HOSTILE_TEXT, REAL


def as_typed(value):
    """A number as typed; one of more than 4,300 digits cannot be a string in Python."""
    return str(value) if not isinstance(value, int) or abs(value) < 10**4000 else "9" * 5000


SOUND = st.sampled_from(
    [
        *("mnist-mlp", "mnist-naive", "jax", "torch", "numpy", "keras", "naive"),
        *("auto", "cpu", "gpu", "digits", "0", "1", "2"),
        *("10m", "0,1", "terminal", "markdown", "csv", "json", "init"),
        *("resync-1", "results", "out/file", "jax/keras", "HEAD", "model.py:build"),
    ]
)
# What a process cannot be given (NUL), and what names a place outside of the project, where a user
# may well want a file.
VALUE = (SOUND | HOSTILE_TEXT | HOSTILE_NUMBER.map(as_typed)).filter(
    lambda text: "\0" not in text and not text.startswith(("/", "..", "-e "))
)
LONG = {
    "--proof",
    "--self-check",
    "--rounds",
    "--repetitions",
    "--setup",
}  # minutes of arithmetic or of downloads, as asked for
ALLOWED = {0, 1, 2, 3, 4, 130}


def verbs(group, before=()):
    """Every verb: its words, and the options that it has."""
    for name, command in group.commands.items():
        words = (*before, name)
        if hasattr(command, "commands"):
            yield from verbs(command, words)
        else:
            names = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
            options = sorted(name for name in names if name.startswith("--"))
            yield words, tuple(option for option in options if option not in LONG)


VERBS = tuple(
    (words, options)
    for words, options in verbs(typer.main.get_command(main.app))
    if words[-1] != "ops"
)


@st.composite
def lines(draw):
    """The arguments of one call."""
    words, options = draw(st.sampled_from(VERBS))
    arguments = list(words)
    for _ in range(draw(st.integers(0, 4))):
        option, value = draw(st.sampled_from(options or ("--none",))), draw(VALUE)
        arguments += draw(
            st.sampled_from([[option, value], [f"{option}={value}"], [option], [value]])
        )
    if words == ("setup",):
        arguments.append("--dry-run")  # else it installs, as asked for
    if words == ("parity",):
        arguments.append("no-such-backend")  # else its referee computes for minutes, as asked for
    return arguments


def make_project(folder):
    """A project without environments; its home, cache and temporary files are inside of it."""
    shutil.copy(REAL, folder / "backends.toml")
    (folder / "model.py").write_text("def build():\n    return None\n")
    for name in ("home", "cache", "state", "tmp", "out"):
        (folder / name).mkdir()


def strangers(folder, arguments):
    """Files that are where neither the program keeps its own nor an argument said."""
    named = {
        os.path.normpath(part)
        for argument in arguments
        for part in (argument, argument.partition("=")[2])
        if part.strip()
    }
    own = {
        "backends.toml",
        "model.py",
        "my_model.py",
        ".gitignore",
        "home",
        "cache",
        "state",
        "tmp",
        "out",
        "results",
    }
    return {
        each.name
        for each in folder.iterdir()
        if each.name not in own | {Path(name).parts[0] for name in named if Path(name).parts}
    }


def call(arguments, folder, capsys, monkeypatch):
    """The exit code of one call in this process, and what it said."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["harness", *arguments])
    capsys.readouterr()
    try:
        main.main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    return code, capsys.readouterr()


def check(arguments, folder, capsys, monkeypatch):
    """One call answers within ten seconds, with a known exit code, in short lines where it refuses;
    and writes where it may.
    """
    began = time.process_time()  # unlike a clock's, the same on a busy machine
    before = strangers(folder, arguments)
    code, said = call(arguments, folder, capsys, monkeypatch)
    assert time.process_time() - began < 10
    assert code in ALLOWED, said.err
    if code == 2:
        assert said.err.strip()
        for line in re.split("\n", said.err):
            assert len(line) <= 300
            assert line.isprintable()
    assert strangers(folder, arguments) <= before
    assert not list((folder / "tmp").iterdir())
