"""What of a `fit` of one epoch is before its first batch, and after its last update."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


class EpochClock(keras.callbacks.Callback):
    """Reads the clock when `fit` begins and ends its epoch.

    It has no batch hooks, which would change how `fit` runs.
    """

    began = ended = 0.0
    setup_s = teardown_s = 0.0  # of the last `fit`, see `around`

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Read the clock before the first batch."""
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Read the clock after the last update."""
        self.ended = time.perf_counter()

    @contextmanager
    def around(self) -> Iterator[None]:
        """Take the seconds of one `fit` from its call to its epoch's begin, and after its end."""
        called = time.perf_counter()
        yield
        self.setup_s, self.teardown_s = self.began - called, time.perf_counter() - self.ended
