"""The front door's side entrance: `harness textbook`, what a textbook works out before its first training run.

Modules are imported inside the verbs, so that `harness --help` answers at once.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.spec.config import Config

WIDTH = 150  # of a pipe, which has none
ConfigOption = Annotated[Path | None, typer.Option(help="backends.toml; by default the nearest one, from here upwards.")]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What a textbook works out by hand: summary, loops, gradients, momentum; one step four ways.",
)


@app.command()
def summary(
    spec: Annotated[str | None, typer.Option(help="As in backends.toml; its first where none is named.")] = None,
    config: ConfigOption = None,
) -> None:
    """Show a spec's model layer by layer: type, output shape, parameters."""
    from harness.inputs.datasets import SHAPES
    from harness.report import textbook
    from harness.textbook.summary import summary as rows_of

    name, wanted = _config(config)[1].spec(spec)
    n_inputs = math.prod(SHAPES["x_train"][1:])
    rows = rows_of(n_inputs, [(layer.name, layer.units, layer.activation) for layer in wanted.layers])
    _show(textbook.summary(name, n_inputs, rows))


@app.command()
def ops(
    rounds: Annotated[int, typer.Option(min=1, help="Of add + relu on (20, 100); the others take a tenth of them.")] = 1000,
    repetitions: Annotated[int, typer.Option(min=1, help="Of all rounds, in each form.")] = 5,
) -> None:
    """Time NumPy's operations against the same as Python loops; takes some ten seconds."""
    from harness.report import textbook
    from harness.textbook.loops import measure

    _show(textbook.ops(measure(rounds, repetitions)))


@app.command()
def gradients(config: ConfigOption = None) -> None:
    """Have TensorFlow, JAX and PyTorch derive what paper can; exit code 1 where one is wrong or does not answer."""
    from harness.launch import ask
    from harness.report import textbook
    from harness.spec.config import WORKER
    from harness.textbook.gradients import faults

    root, whole = _config(config)
    able = {file.stem for file in (WORKER / "gradients").glob("[a-z]*.py")}
    answers = {name: ask.gradients(name, backend, root) for name, backend in whole.backends.items() if name in able}
    _show(textbook.gradients(answers))
    if any(faults(answer) for answer in answers.values()):
        raise typer.Exit(1)


@app.command()
def momentum() -> None:
    """Descend a loss with two valleys, without momentum and with it: only one path leaves the first valley."""
    from harness.report import textbook
    from harness.textbook.momentum import loss, two_paths

    _show(textbook.momentum(two_paths(), loss))


@app.command()
def page(output: Annotated[Path | None, typer.Option(help="Write there instead of printing.")] = None) -> None:
    """Print the page for teachers: one training step four ways, beside the Keras lines that do the same."""
    from harness.errors import StoreError
    from harness.textbook.page import render

    if output is None:
        print(render(), end="")
        return
    try:
        output.write_text(render(), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"--output: {output}: cannot be written ({error.strerror})") from None


def _config(file: Path | None) -> tuple[Path, Config]:
    """Return the project's folder and its configuration."""
    from harness.spec import config

    found = file or config.find(Path.cwd())
    return found.resolve().parent, config.load(found)


def _show(shown: RenderableType) -> None:
    """Print to the terminal, or to a pipe with room for the widest table."""
    from rich.console import Console

    console = Console()
    (console if console.is_terminal else Console(width=WIDTH)).print(shown, crop=False)
