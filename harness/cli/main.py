"""The front door: registers the verbs. harness/cli is all that prints or exits.

Modules are imported inside the verbs, so that `harness --help` answers at once.
"""

from __future__ import annotations

import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import (
    bench,
    cell,
    choose,
    compare,
    data,
    doctor,
    export,
    gate,
    init,
    lessons,
    parity,
    report,
    setup,
    surroundings,
    survey,
    sweep,
    train,
    winners,
)
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
    from harness.scratch import remove_leftovers
    from harness.spec.data.mnist import cache_folder

    with suppress(HarnessError, OSError):
        cache = cache_folder()
        kept = [cache / name for name in ("datasets", "draws", "own")]
        remove_leftovers([Path(tempfile.gettempdir()), *kept])


VERBS = (  # as --help lists them: a user's day
    init.init,
    setup.setup,
    choose.choose,
    train.train,
    compare.compare,
    parity.parity,
    survey.survey,
    bench.bench,
    sweep.sweep,
    winners.map,
    gate.gate,
    report.report,
    export.export,
    doctor.doctor,
    data.data,
    cell.cell,
)
for verb in VERBS:
    app.command()(verb)
app.add_typer(lessons.app, name="textbook")
