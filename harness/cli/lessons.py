"""The command `harness textbook`: what a textbook computes before its first training run.

Modules are imported inside the verbs, so that `harness --help` answers at once.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import ConfigOption, configured, console_of

if TYPE_CHECKING:
    from rich.console import RenderableType


SPEC = "As in backends.toml; its first where none is named."
ROUNDS = "Of add + relu on (20, 100); the others take a tenth of them."
HELP = "What a textbook works out by hand: summary, loops, gradients, momentum; one step four ways."
app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=HELP)


@app.command()
def summary(
    spec: Annotated[str | None, typer.Option(help=SPEC)] = None, config: ConfigOption = None
) -> None:
    """Show a spec's model layer by layer: type, output shape, parameters."""
    from harness.lessons import document
    from harness.lessons.summary import summary as rows_of
    from harness.spec.data.mnist import SHAPES

    name, wanted = configured(config)[1].spec(spec)
    n_inputs = math.prod(SHAPES["x_train"][1:])
    layers = [(layer.name, layer.units, layer.activation) for layer in wanted.layers]
    rows = rows_of(n_inputs, layers)
    _show(document.summary(name, n_inputs, rows))


@app.command()
def ops(
    rounds: Annotated[int, typer.Option(min=1, max=100_000, help=ROUNDS)] = 1000,
    repetitions: Annotated[
        int, typer.Option(min=1, max=1000, help="Of all rounds, in each form.")
    ] = 5,
) -> None:
    """Time NumPy's operations against the same as Python loops; takes some ten seconds."""
    from harness.lessons import document
    from harness.lessons.loops import measure

    _show(document.ops(measure(rounds, repetitions)))


@app.command()
def gradients(config: ConfigOption = None) -> None:
    """Have TensorFlow, JAX and PyTorch derive what paper can; exit code 1 where one is wrong."""
    from harness.engine import ask
    from harness.lessons import document
    from harness.lessons.gradients import faults
    from harness.spec.arm_modules import WORKER

    root, settings = configured(config)
    able = {file.stem for file in (WORKER / "gradients").glob("[a-z]*.py")}
    chosen = {name: settings.backends[name] for name in settings.backends if name in able}
    answers = {name: ask.gradients(name, backend, root) for name, backend in chosen.items()}
    _show(document.gradients(answers))
    if any(faults(answer) for answer in answers.values()):
        raise typer.Exit(1)


@app.command()
def momentum() -> None:
    """Descend a loss with two valleys: only with momentum, the path leaves the first valley."""
    from harness.lessons import document
    from harness.lessons.momentum import loss, two_paths

    _show(document.momentum(two_paths(), loss))


@app.command()
def page(
    output: Annotated[Path | None, typer.Option(help="Write there instead of printing.")] = None,
) -> None:
    """Print the page for teachers: one training step four ways, beside the same in Keras."""
    from harness.errors import StoreError
    from harness.lessons.page import render

    if output is None:
        print(render(), end="")
        return
    try:
        output.write_text(render(), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"--output: {output}: cannot be written ({error.strerror})") from None


def _show(shown: RenderableType) -> None:
    """Print to the terminal, or to a pipe with room for the widest table."""
    console_of().print(shown, crop=False)
