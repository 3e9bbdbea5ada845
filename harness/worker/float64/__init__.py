"""Compute a Keras model in float64: for a fresh process, before the model is built.

Keras computes in float32 even where float64 is asked for. The patches below, and those of the
framework's own file beside this one, change that for the whole process. They are for a referee's
process alone: nothing is timed under them.

**Differs**: TensorFlow needs four patches more, JAX one, PyTorch none.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import dtypes
from numpy.typing import NDArray

SHORT = ("float32", "float16", "bfloat16")
KNOWN: list[str] = []  # differences of Keras's own backends that a patch has taken out of a model


def compute_in_float64() -> None:
    """Make every model that this process builds from now on compute in float64.

    Sets the default dtype and the default policy, and patches two tables of Keras's
    (keras/src/backend/common/dtypes.py):

    - BIT64_TO_BIT32_DTYPE turns the result of two dtypes from float64 into float32 on JAX and
      PyTorch, on purpose, as JAX does by default.
    - PYTHON_DTYPES_MAP is where every dtype given as a string is looked up, by Keras or by the
      user: dtype="float32", a mixed policy, `ops.cast(x, "float32")`. A tensor's own dtype is an
      object, not a string, and is read as before: what is still float32 can be seen to be.

    Not changed: `jnp.float32`, `tf.float32`, `torch.float32` and `.astype(np.float32)` in a user's
    code. `watch` names them.

    XLA compiles faster programs instead of fast ones: each runs a few times.
    """
    flags = os.environ.get("XLA_FLAGS", "")  # read once, at the first program
    os.environ["XLA_FLAGS"] = f"{flags} --xla_backend_optimization_level=1"
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    known: dict[Any, str] = dtypes.PYTHON_DTYPES_MAP
    known |= dict.fromkeys([*SHORT, float], "float64")
    _of_framework().patch()


@contextmanager
def watch() -> Iterator[Callable[[], list[str]]]:
    """Look for floats shorter than float64 in what Keras computes meanwhile.

    Programs that Keras compiles are looked at where they are made: open it before the model first
    computes, with arrays that `widen` has returned.

    Yields:
        What returns each operation that gave one: "operation: dtype (file:line)", each once, in the
        order of the step. Empty where all is in float64, but for the harmless ones, which the
        framework's file names.
    """
    with _of_framework().watch() as found:
        yield lambda: list(dict.fromkeys(found()))


def widen(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return arrays of any shape by name, floats in float64."""
    return {
        name: value.astype(np.float64) if value.dtype.kind == "f" else value
        for name, value in arrays.items()
    }


def _of_framework() -> Any:
    return importlib.import_module(f"{__name__}.{keras.backend.backend()}")
