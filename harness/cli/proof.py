"""`harness parity --proof`: planted defects are caught, and changes that mean nothing are not."""

from __future__ import annotations

from harness.cli.answer import Answer
from harness.cli.output import console_of


def prove_gate() -> Answer:
    """Return whether the gate can fail: exit code 0 where the proof holds, 1 where it does not."""
    from harness.experiments.proof import document as report
    from harness.experiments.proof.prove import prove
    from harness.report.progress import steps_line

    with steps_line(console_of()) as say:
        found = prove(say)
    return Answer(document=report.compose(found), record=found, exit_code=int(not found.holds))
