"""What the verbs share: options, the console, the configuration and the dataset.

Modules are imported inside, so that `harness --help` answers at once.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.safe import for_terminal

if TYPE_CHECKING:
    from rich.console import Console

    from harness.spec.config import Config
    from harness.spec.data.mnist import Prepared

WIDTH = 150  # of a pipe, which has none
DeviceOption = Annotated[
    Literal["auto", "cpu", "gpu"],
    typer.Option(help="With gpu, a backend that sees none is an error."),
]
DatasetOption = Annotated[
    Literal["auto", "mnist", "digits"] | None,
    typer.Option(help="Instead of the spec's. auto: MNIST, else digits."),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        envvar="HARNESS_CONFIG",
        help="backends.toml; by default the nearest one, from here upwards, if only you can write it.",
    ),
]
NoWaitOption = Annotated[
    bool,
    typer.Option(
        "--no-wait", help="Where another harness measures on this machine, exit with 2 at once."
    ),
]
ResultsOption = Annotated[
    Path | None, typer.Option(help="By default results/ beside backends.toml.")
]


def configured(file: Path | None) -> tuple[Path, Config]:
    """Return the project's folder and its configuration."""
    from harness.spec import project

    return project.open_project(file)


def dataset_of(name: str, *, said: bool = True) -> Prepared:
    """Return the dataset, saying in one line which one it is and why, unless that is said elsewhere."""
    from harness.report.progress import download_bar
    from harness.spec.data import mnist

    console = console_of()
    with download_bar(console) as show:
        prepared = mnist.prepare(name, show)
    if said:
        say(f"dataset: {prepared.name}, {prepared.origin}")
    return prepared


def threads_of(text: str | None) -> int | str | None:
    """Return what --threads says: a number where it is one; what it is otherwise is for the protocol to refuse."""
    return int(text) if text and is_count(text) else text


def is_count(text: str) -> bool:
    """Say whether a text is a number of things that a machine has, in plain digits."""
    return text.isascii() and text.isdecimal() and len(text) < 10


def console_of(stderr: bool = False) -> Console:
    """Return where to print. A pipe has no width: the table gets the room it needs, rather than 80 columns."""
    from rich.console import Console

    class Pipe(Console):
        """A console that leaves it to `main` what a reader that has gone away means."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    console = Pipe(stderr=stderr)
    return console if console.is_terminal else Pipe(stderr=stderr, width=WIDTH)


def say(text: str, style: str = "", *, stderr: bool = False) -> None:
    """Print lines as they are: nothing in them is markup, or moves the cursor, and no line is broken."""
    console_of(stderr).print(
        for_terminal(text), style=style, markup=False, highlight=False, soft_wrap=True
    )


@contextmanager
def alone_on_machine(verb: str, *, wait: bool = True) -> Iterator[None]:
    """Hold the machine while a verb measures; who is waited for is said on stderr."""
    from harness.engine.exclusive import hold_machine

    def tell(sentence: str) -> None:
        say(sentence, "yellow", stderr=True)

    with hold_machine(verb, tell, wait=wait):
        yield


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
                raise StoreError(
                    f"{option}: {file}: cannot be written ({error.strerror})"
                ) from None


def summarised(markdown: str) -> None:
    """Append text to the summary that GitHub shows of a workflow's step, where this runs in one.

    A summary that cannot be written is said on stderr, and fails nothing: the same text has been printed.
    """
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    try:
        with Path(file).open("a", encoding="utf-8") as summary:
            summary.write(f"{markdown.rstrip()}\n\n")
    except OSError as error:
        said = f"! GITHUB_STEP_SUMMARY: {file}: cannot be written ({error.strerror}); the summary is left out"
        say(said, "yellow", stderr=True)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put an interrupt off until what is being written is written: a run of minutes is not lost to a Ctrl-C.

    Handlers are exchanged, not signals masked: a mask holds for one thread, and the kernel would choose another.
    """
    came: list[int] = []
    before = {
        polite: signal.signal(polite, lambda number, frame: came.append(number))
        for polite in polite_signals()
    }
    try:
        yield
    finally:
        for polite, handler in before.items():
            signal.signal(polite, handler)
    if came:
        raise KeyboardInterrupt


def polite_signals() -> list[signal.Signals]:
    """Return the signals that ask to stop, less those that whoever started this process had ignored, as nohup does."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [each for each in signals if signal.getsignal(each) is not signal.SIG_IGN]
