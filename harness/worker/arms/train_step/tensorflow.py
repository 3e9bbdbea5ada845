"""Any Keras model on TensorFlow: train_step assigns the variables, in a traced function.

**Differs**: XLA draws other random numbers from the same seed than TensorFlow's kernels do on a
CPU, and keeps half-precision intermediates in float32: the compiled arm equals
`fit` of a model compiled with jit_compile=True.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from harness.worker.arms.train_step.batches import CHUNK, has_convolution, length, sizes
from harness.worker.replicas.tensorflow import part_of

Run = Callable[[Any], None]


def place(data: Any) -> Any:
    """Return a tree of arrays (n, ...) on the device."""
    return tf.nest.map_structure(tf.convert_to_tensor, data)


def lean(model: Any, data: Any, batch_size: int) -> Run:
    """Return an epoch as a loop in Python over the traced train_step.

    Args:
        model: compiled by Keras and built.
        data: a tree of arrays (n, ...), placed.
        batch_size: of a full batch; the last one may be short.
    """
    del data
    return partial(_run, _updates(model, jit_compile=bool(model.jit_compile)), batch_size, 1)


def compiled(model: Any, data: Any, batch_size: int) -> Run:
    """Return an epoch as one program, or in programs of a few updates for convolutions on a CPU.

    Args:
        model: compiled by Keras and built.
        data: a tree of arrays (n, ...), placed.
        batch_size: of a full batch; the last one may be short.
    """
    if has_convolution(model) and not tf.config.list_physical_devices("GPU"):
        updates = _updates(model, jit_compile=True)
        _, n_updates, size = sizes(length(data), batch_size, CHUNK)[0]
        updates.get_concrete_function(data, tf.constant(0), n_updates, size)
        return partial(_run, updates, batch_size, CHUNK)
    program = tf.function(partial(_epoch, model, batch_size), jit_compile=True, autograph=False)
    program.get_concrete_function(data)
    return program  # type: ignore[no-any-return]


def _epoch(model: Any, batch_size: int, data: Any) -> None:
    n = length(data)
    n_full = n // batch_size

    def body(index: Any) -> tuple[Any]:
        model.train_step(_cut(data, index * batch_size, batch_size))
        return (index + 1,)

    if n_full:
        tf.while_loop(lambda index: index < n_full, body, (tf.constant(0),))
    if n_full * batch_size < n:
        model.train_step(_cut(data, n_full * batch_size, n - n_full * batch_size))


def _updates(model: Any, *, jit_compile: bool) -> Any:
    """Return a program of a number of updates, written out one after the other."""

    @tf.function(jit_compile=jit_compile, autograph=False)
    def updates(data: Any, start: Any, n_updates: int, size: int) -> None:
        for number in range(n_updates):
            _train_on(model, data, start + number * size, size)

    return updates


def _train_on(model: Any, data: Any, start: Any, size: int) -> None:
    """Make one update with a batch; each of several devices has its part of it."""
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1:
        model.train_step(_cut(data, start, size))
    else:
        strategy.run(lambda: model.train_step(_cut(data, *part_of(start, size))))


def _run(updates: Any, batch_size: int, chunk: int, data: Any) -> None:
    for start, n_updates, size in sizes(length(data), batch_size, chunk):
        updates(data, tf.constant(start), n_updates, size)


def _cut(data: Any, start: Any, size: int) -> Any:
    """Return a batch by tf.slice, whose size XLA knows: data[a:b] made an epoch far longer."""

    def cut(each: Any) -> Any:
        rest = each.shape[1:]
        return tf.slice(each, [start, *[0] * len(rest)], [size, *rest])

    return tf.nest.map_structure(cut, data)
