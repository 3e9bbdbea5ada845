"""PyTorch in float64."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.worker.float64 import SHORT

OWN = str(Path(torch.__file__).parent)
HARMLESS = ("backend/torch/math.py",)  # the histogram under AUC counts in float32


def patch() -> None:
    """Change nothing: PyTorch computes in the dtype of its operands."""


@contextmanager
def watch() -> Iterator[Callable[[], list[str]]]:
    """Look at each operation that is done meanwhile.

    Harmless, and left out: the histogram under AUC (keras/src/backend/torch/math.py), which counts
    in float32.

    Yields:
        What returns the operations so far.
    """
    with _Watch() as looking:
        yield lambda: looking.found


class _Watch(TorchDispatchMode):
    """Sees each operation as it is done, the gradients' too."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        parts = [each for each in tree_leaves(result) if isinstance(each, torch.Tensor)]
        given = {str(each.dtype).removeprefix("torch.") for each in parts} & set(SHORT)
        if given:
            where = _place()
            if not any(harmless in where for harmless in HARMLESS):
                self.found.append(f"{func}: {', '.join(sorted(given))} ({where})")
        return result


def _place() -> str:
    """Return file:line of what asked for an operation: the last line that is not PyTorch's own."""
    frames = traceback.extract_stack()[:-2]
    asking = [frame for frame in frames if not frame.filename.startswith((OWN, "<"))]
    return f"{asking[-1].filename}:{asking[-1].lineno}" if asking else "unknown"
