"""`harness parity --proof`: planted defects are caught, and changes that mean nothing are not."""

from __future__ import annotations

import typer

from harness.cli.output import console_of, show


def prove_or_exit() -> None:
    """Show that the gate can fail; exit 0 where the proof holds, 1 where it does not."""
    from harness.experiments.proof import document as report
    from harness.experiments.proof.prove import prove
    from harness.report.progress import steps_line

    with steps_line(console_of()) as say:
        found = prove(say)
    show(report.compose(found))
    raise typer.Exit(0 if found.holds else 1)
