"""`harness init`: a backends.toml and a model to begin with. Exit 1 where something was there."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.output import say
from harness.errors import ConfigError

CONFIG = """\
# What is compared, and where it runs. What this file leaves out is the harness's own:
# specs, requirements and arms of each backend (README: "What is compared").

[protocol]
seeds = [0]   # one run of each arm for each seed

[specs.mine]
model = "my_model.py:build"
data = "my_model.py:data"
epochs = 5

[bench]       # what `harness choose` and `harness bench` time
arms = ["keras"]  # model.fit; "lean" and "compiled" call the model's own train_step without it

# A backend for each table; take one out, and it is not asked. Its environment is made by
# `harness setup`, or is your own: then nothing is installed there.
[backends.tensorflow]

[backends.jax]
# python = "../.venv/bin/python"

[backends.torch]
"""
MODEL = """\
import keras
import numpy as np


def build():
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def data():  # that nobody has to download: noise around a picture for each class
    random = np.random.default_rng(0)
    labels = random.integers(10, size=4096)
    pictures = random.normal(size=(10, 8, 8, 1))[labels]
    return (pictures + random.normal(size=pictures.shape)).astype("float32"), labels
"""
HOOK = """\
#!/bin/sh
# Written by `harness init --pre-push`: nothing is pushed while the model differs between backends,
# or cannot be checked. To push all the same: git push --no-verify
exec {python} -m harness parity my_model.py
"""
PRE_PUSH = "Also write a hook of git's: no push where the model differs between backends."
PrePushOption = Annotated[bool, typer.Option("--pre-push", help=PRE_PUSH)]
IGNORED = (".harness/", "results/")


def init(pre_push: PrePushOption = False) -> None:
    """Write a backends.toml, a my_model.py and two lines of .gitignore; overwrite nothing."""
    files = {"backends.toml": CONFIG, "my_model.py": MODEL}
    if pre_push:
        files[_hook()] = HOOK.format(python=shlex.quote(sys.executable))
    there = [name for name, text in files.items() if not _write_new(Path(name), text)]
    _ignore(Path(".gitignore"))
    for name in there:
        say(f"{name}: is there already; left as it is", "yellow", stderr=True)
    say("Next: harness setup, then: harness choose my_model.py")
    if there:
        raise typer.Exit(1)


def _hook() -> str:
    """Return where git looks for what it runs before a push."""
    folder = Path(".git", "hooks")
    if not folder.parent.is_dir():
        raise ConfigError(
            "--pre-push: .git: no such folder here. Go to the top of the repository, or: git init"
        )
    folder.mkdir(exist_ok=True)
    return str(folder / "pre-push")


def _write_new(file: Path, text: str) -> bool:
    """Write a file that is not there yet, and say so; return whether it was not."""
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
            if text.startswith("#!"):
                os.fchmod(new.fileno(), 0o755)
    except FileExistsError:
        return False
    say(f"written: {file}")
    return True


def _ignore(file: Path) -> None:
    """Add the lines to .gitignore that it lacks."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    missing = [line for line in IGNORED if line not in before.splitlines()]
    if missing:
        end = "" if before.endswith("\n") or not before else "\n"
        with file.open("a", encoding="utf-8") as more:
            more.write(end + "".join(f"{line}\n" for line in missing))
        say(f"added to {file}: {' '.join(missing)}")
