"""The batches of an epoch, and why a model's training cannot be one program."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import keras

CHUNK = 8  # updates written out in one program, where a loop of them would be slow
N_CHARACTERS = 160  # of a framework's message


class NotOneProgram(Exception):
    """A model's train_step cannot be compiled: the layer, and the reason, in one sentence."""

    def __init__(self, layer: str, reason: str) -> None:
        """Take the layer or optimizer by name, and the reason without a full stop."""
        super().__init__(f"{layer}: cannot be one program: {reason}")
        self.layer, self.reason = layer, reason


def refusal(error: BaseException, model: Any) -> NotOneProgram:
    """Return why a model could not be traced or compiled, from the error that said so."""
    if isinstance(error, NotOneProgram):
        return error
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    while len(lines) > 1 and lines[0].endswith(":"):  # it only announces the next one
        lines[:2] = [" ".join(lines[:2])]
    reason = (lines or [type(error).__name__])[0][:N_CHARACTERS].rstrip(".:")
    return NotOneProgram(_place_of(error.__traceback__) or f"model {model.name}", reason)


def _place_of(traceback: TracebackType | None) -> str | None:
    """Return the innermost layer or optimizer whose code a traceback goes through."""
    found = None
    while traceback:
        owner = traceback.tb_frame.f_locals.get("self")
        if isinstance(owner, keras.Layer) and not isinstance(owner, keras.Model):
            found = f"layer {owner.name}"
        elif isinstance(owner, keras.optimizers.Optimizer):
            found = f"optimizer {owner.name}"
        traceback = traceback.tb_next
    return found


def sizes(n: int, batch_size: int, chunk: int = 1) -> list[tuple[int, int, int]]:
    """Return where programs begin: (first sample, updates, samples of each), the short one last.

    Args:
        n: samples of an epoch.
        batch_size: of a full batch.
        chunk: updates in one program, at most.
    """
    n_full = n // batch_size
    starts = range(0, n_full, chunk)
    found = [(start * batch_size, min(chunk, n_full - start), batch_size) for start in starts]
    short = n - n_full * batch_size
    return [*found, *([(n_full * batch_size, 1, short)] if short else [])]


def length(data: Any) -> int:
    """Return the number of samples in a tree of arrays (n, ...)."""
    return int(next(each for each in keras.tree.flatten(data) if each is not None).shape[0])


def first_batch(data: Any, batch_size: int) -> Any:
    """Return the first samples of a tree of arrays (n, ...), by which a model is built."""
    return keras.tree.map_structure(lambda each: each[:batch_size], data)


def has_convolution(model: Any) -> bool:
    """Say whether a model holds a convolution, which is slow in a loop of XLA's on a CPU."""
    return any("Conv" in type(layer).__name__ for layer in model._flatten_layers())
