"""The front door: registers the verbs. harness/cli is all that prints or exits.

Modules are imported inside the verbs, so that `harness --help` answers at once.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import lessons, surroundings
from harness.cli.signals import stop_signals
from harness.errors import HarnessError


def _print_version(asked: bool) -> None:
    if asked:
        from harness.cli.output import print_version

        print_version()


VersionOption = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print it and exit."),
]


app = typer.Typer(
    cls=surroundings.VerbGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line: 0 fine, 1 a run failed, 2 usage or configuration, 130 interrupted."""
    surroundings.prepare()
    for number in stop_signals():
        signal.signal(number, signal.default_int_handler)  # each ends the children as Ctrl-C does
    with surroundings.report_errors():
        app()


@app.callback()
def options(version: VersionOption = False) -> None:
    """Which backend should train my Keras model, and is it still the same model there?"""
    _remove_leftovers()


def _remove_leftovers() -> None:
    """Remove what killed runs have left; where that fails, a verb says what is wrong there."""
    from harness.spec.data.mnist import cache_folder
    from harness.spec.files import remove_leftovers

    with suppress(HarnessError, OSError):
        cache = cache_folder()
        kept = [cache / name for name in ("datasets", "draws", "own")]
        remove_leftovers([Path(tempfile.gettempdir()), *kept])


ORDER = (  # of --help: a user's day; verbs that are not among these come after them
    *("init", "setup", "choose", "train", "compare", "parity", "survey"),
    *("bench", "sweep", "map", "gate", "report", "export", "doctor", "data"),
)


def find_verbs() -> list[Callable[..., None]]:
    """Return the verbs: functions of their file's name, one of each file of this folder with one.

    A new verb is a new file.
    """
    files = {file.stem: file for file in sorted(Path(__file__).parent.glob("*.py"))}
    others = [name for name, file in files.items() if name not in ORDER and _has_verb(file)]
    names = [*(name for name in ORDER if name in files), *others]
    return [getattr(import_module(f"harness.cli.{name}"), name) for name in names]


def _has_verb(file: Path) -> bool:
    text = file.read_text(encoding="utf-8")
    return "\n@command(" in text and f"\ndef {file.stem}(" in text


for verb in find_verbs():
    app.command()(verb)
app.add_typer(lessons.app, name="textbook")
