"""The signals that ask to stop, and how to delay them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def delay_interrupts() -> Iterator[None]:
    """Delay Ctrl-C until the block has finished writing: it must not cost a run of minutes.

    Handlers are exchanged, not signals masked: a mask holds for one thread, and the kernel would
    choose another.
    """
    received: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: received.append(number))
        for number in stop_signals()
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt


def stop_signals() -> list[signal.Signals]:
    """Return the signals that ask to stop, less those ignored when this started, as by nohup."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [each for each in signals if signal.getsignal(each) is not signal.SIG_IGN]
