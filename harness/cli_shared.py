"""What the verbs share: options, the console, the configuration and the dataset.

Modules are imported inside, so that `harness --help` answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from harness.inputs.datasets import Prepared
    from harness.spec.config import Config

WIDTH = 150  # of a pipe, which has none
DeviceOption = Annotated[Literal["auto", "cpu", "gpu"], typer.Option(help="With gpu, a backend that sees none is an error.")]
DatasetOption = Annotated[Literal["auto", "mnist", "digits"] | None, typer.Option(help="Instead of the spec's. auto: MNIST, else digits.")]
ConfigOption = Annotated[Path | None, typer.Option(help="backends.toml; by default the nearest one, from here upwards.")]
ResultsOption = Annotated[Path | None, typer.Option(help="By default results/ beside backends.toml.")]


def configured(file: Path | None) -> tuple[Path, Config]:
    """Return the project's folder and its configuration."""
    from harness.spec import config

    found = file or config.find(Path.cwd())
    return found.resolve().parent, config.load(found)


def dataset_of(name: str) -> Prepared:
    """Return the dataset, saying in one line which one it is and why."""
    from harness.inputs import datasets
    from harness.report.progress import download_bar

    console = console_of()
    with download_bar(console) as show:
        prepared = datasets.prepare(name, show)
    console.print(f"dataset: {prepared.name}, {prepared.origin}", markup=False, highlight=False, soft_wrap=True)
    return prepared


def console_of(stderr: bool = False) -> Console:
    """Return where to print. A pipe has no width: the table gets the room it needs, rather than 80 columns."""
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=WIDTH)


def written(texts: Mapping[str, tuple[Path | None, str]]) -> None:
    """Write each text to its file, where its option names one.

    Raises:
        StoreError: a file cannot be written; names the option.
    """
    from harness.errors import StoreError

    for option, (file, text) in texts.items():
        if file:
            try:
                file.write_text(text, encoding="utf-8")
            except OSError as error:
                raise StoreError(f"{option}: {file}: cannot be written ({error.strerror})") from None
