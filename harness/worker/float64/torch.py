"""PyTorch in float64."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import keras
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.worker.float64 import SHORT

OWN = str(Path(torch.__file__).parent)
HARMLESS = ("backend/torch/math.py",)  # the histogram under AUC counts in float32


def patch() -> None:
    """Change nothing: PyTorch computes in the dtype of its operands."""


def short_operations(model: Any, x: Any, y: Any) -> list[str]:
    """Return each operation of one update that gives a short float, and make that update.

    Harmless, and left out: the histogram under AUC (keras/src/backend/torch/math.py), which counts
    in float32.

    Args:
        model: built and compiled, its optimizer built.
        x: inputs (n, ...).
        y: labels (n, ...).
    """
    batch = keras.tree.map_structure(keras.ops.convert_to_tensor, (x, y))
    with _Watch() as watch:
        model.train_step(batch)
    found: list[str] = watch.found
    return found


class _Watch(TorchDispatchMode):
    """Sees each operation as it is done, the gradients' too."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        parts = [each for each in keras.tree.flatten(result) if isinstance(each, torch.Tensor)]
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
