"""Arms as event files: LOGDIR/RECORD/ARM/{train,validation}, under the names of Keras's callback.

Beside them, in LOGDIR/RECORD/ARM, is what the HParams tab shows. Needs the extra `tensorboard`
(tensorboardX, no TensorFlow).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

from harness.report.arm_run import ArmRun, plain

SECONDS = "epoch_s"  # of the harness's own, beside Keras's epoch_loss and epoch_accuracy


def write(runs: Iterable[ArmRun], folder: Path) -> dict[Path, str]:
    """Write the epochs of each arm, and return where they are and how many.

    Args:
        runs: each a folder.
        folder: TensorBoard's log folder.
    """
    written = {}
    for run in runs:
        place = folder / plain(run.record) / plain(run.arm)
        parts: dict[str, dict[int, dict[str, float]]] = {"train": {}, "validation": {}}
        for step, values in run.steps.items():
            for name, value in values.items():
                part = "validation" if name.startswith("val_") else "train"
                tag = name if name == SECONDS else f"epoch_{name.removeprefix('val_')}"
                parts[part].setdefault(step, {})[tag] = value
        for part, steps in parts.items():
            _write_steps(place / part, steps)
        _write_hparams(place, run)
        written[place] = f"{len(parts['train'])} epochs"
    return written


def _write_steps(place: Path, steps: Mapping[int, Mapping[str, float]]) -> None:
    if steps:
        with SummaryWriter(str(place)) as writer:
            for step, values in steps.items():
                for tag, value in values.items():
                    writer.add_scalar(tag, value, step)


def _write_hparams(place: Path, run: ArmRun) -> None:
    """Write what distinguishes an arm, and its figures, for the HParams tab."""
    with SummaryWriter(str(place)) as writer:
        for summary in hparams({**run.params, "arm": run.arm, **run.tags}, dict(run.figures)):
            writer.file_writer.add_summary(summary)
        for tag, value in run.figures.items():
            writer.add_scalar(tag, value, 0)
