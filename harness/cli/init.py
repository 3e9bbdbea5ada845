"""`harness init`: a backends.toml and a model to begin with. Exit 1 where something was there."""

from __future__ import annotations

from pathlib import Path

import typer

from harness.cli.output import say

CONFIG = """\
# What is compared, and where it runs. What this file leaves out is the harness's own:
# specs, requirements and arms of each backend (README: "What is compared").

[protocol]
seeds = [0]   # one run of each arm for each seed

[specs.mine]
model = "my_model.py:build"
data = "my_model.py:data"
epochs = 5

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
IGNORED = (".harness/", "results/")


def init() -> None:
    """Write a backends.toml, a my_model.py and two lines of .gitignore; overwrite nothing."""
    there = [
        name
        for name, text in (("backends.toml", CONFIG), ("my_model.py", MODEL))
        if not _write_new(Path(name), text)
    ]
    _ignore(Path(".gitignore"))
    for name in there:
        say(f"{name}: is there already; left as it is", "yellow", stderr=True)
    say("Next: harness setup, then: harness train")
    if there:
        raise typer.Exit(1)


def _write_new(file: Path, text: str) -> bool:
    """Write a file that is not there yet, and say so; return whether it was not."""
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
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
