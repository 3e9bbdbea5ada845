"""The command `harness textbook`: what a textbook computes before its first training run.

Modules are imported inside the verbs, so that `harness --help` answers at once.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.command import command
from harness.cli.options import PythonOptions, SpecOptions
from harness.cli.output import show, write_files
from harness.cli.project import open_project
from harness.errors import ConfigError

HELP = "What a textbook works out by hand: summary, loops, gradients, momentum; one step four ways."
OutputOption = Annotated[Path | None, typer.Option(help="Write there instead of printing.")]
ROUNDS = "Of add + relu on (20, 100); the others take a tenth of them."
RoundsOption = Annotated[int, typer.Option(min=1, max=100_000, help=ROUNDS)]
RepetitionsOption = Annotated[
    int, typer.Option(min=1, max=1000, help="Of all rounds, in each form.")
]
app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=HELP)


@app.command()
@command(SpecOptions)
def summary(options: SpecOptions) -> None:
    """Show a spec's model layer by layer: type, output shape, parameters."""
    from harness.lessons import document
    from harness.lessons.summary import summary as rows_of
    from harness.spec.data.mnist import SHAPES
    from harness.spec.model import own_model

    name, chosen = open_project(options.config).config.spec(options.spec)
    if own_model(chosen):
        hint = "Name one of Dense layers, or type: model.summary()"
        raise ConfigError(f"--spec {name}: is a model of your own, which is not run here. {hint}")
    n_inputs = math.prod(SHAPES["x_train"][1:])
    layers = [(layer.name, layer.units, layer.activation) for layer in chosen.layers]
    rows = rows_of(n_inputs, layers)
    show(document.summary(name, n_inputs, rows))


@app.command()
def ops(rounds: RoundsOption = 1000, repetitions: RepetitionsOption = 5) -> None:
    """Time NumPy's operations against the same as Python loops; takes some ten seconds."""
    from harness.lessons import document
    from harness.lessons.loops import measure

    show(document.ops(measure(rounds, repetitions)))


@app.command()
@command(PythonOptions)
def gradients(options: PythonOptions) -> None:
    """Have TensorFlow, JAX and PyTorch derive what paper can; exit code 1 where one is wrong."""
    from harness.job.asked import Derive
    from harness.lessons import document
    from harness.lessons.gradients import faults
    from harness.spec.arm_source import WORKER

    project = open_project(options.config, pythons=options.python)
    able = {file.stem for file in (WORKER / "gradients").glob("[a-z]*.py")}
    backends = project.config.backends.items()
    jobs = [Derive(backend=name) for name, each in backends if each.framework in able]
    answers = {done.job.backend: done.answer for done in project.executor.submit(jobs)}
    show(document.gradients(answers))
    if any(faults(answer) for answer in answers.values()):
        raise typer.Exit(1)


@app.command()
def momentum() -> None:
    """Descend a loss with two valleys: only with momentum, the path leaves the first valley."""
    from harness.lessons import document
    from harness.lessons.momentum import loss, two_paths

    show(document.momentum(two_paths(), loss))


@app.command()
def page(output: OutputOption = None) -> None:
    """Print the page for teachers: one training step four ways, beside the same in Keras."""
    from harness.lessons.page import render

    if output is None:
        print(render(), end="")
    else:
        write_files({"--output": (output, render())})
