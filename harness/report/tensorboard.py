"""Epochs as event files: LOGDIR/RECORD/ARM/train, under the names of Keras's own callback.

Needs the extra `tensorboard` (tensorboardX, no TensorFlow).
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from tensorboardX import SummaryWriter

NAMES = {"loss": "epoch_loss", "accuracy": "epoch_accuracy", "seconds": "epoch_s"}
NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


def write(rows: Iterable[Mapping[str, object]], folder: Path) -> dict[Path, int]:
    """Write the epochs that count, medians over generations, and return how many of each arm.

    Args:
        rows: the long table of epochs, see `harness.records.long`.
        folder: TensorBoard's log folder.
    """
    found: dict[tuple[str, str], dict[int, list[Mapping[str, object]]]] = {}
    for row in rows:
        if row["counts"]:
            of_arm = found.setdefault((str(row["record"]), str(row["arm"])), defaultdict(list))
            of_arm[int(str(row["epoch"]))].append(row)
    written = {}
    for (record, arm), epochs in found.items():
        place = folder / _plain(record) / _plain(arm) / "train"
        with SummaryWriter(str(place)) as writer:
            for epoch, several in sorted(epochs.items()):
                for name, value in _medians(several).items():
                    writer.add_scalar(NAMES[name], value, epoch - 1)  # Keras counts from 0
        written[place] = len(epochs)
    return written


def _medians(rows: Iterable[Mapping[str, object]]) -> dict[str, float]:
    """Return the median of each figure that is known."""
    known: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for name in NAMES:
            if isinstance(value := row[name], float):
                known[name].append(value)
    return {name: statistics.median(values) for name, values in known.items()}


def _plain(name: str) -> str:
    """Return a name that is one folder's on every system: text of others names none above it."""
    return NOT_PLAIN.sub("_", name).strip(".")[:100] or "_"
