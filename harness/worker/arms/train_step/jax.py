"""Any Keras model on JAX: train_step is a pure function from state and batch to logs and state."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax import lax

from harness.worker.arms.train_step.batches import CHUNK, has_convolution, length, sizes
from harness.worker.replicas import jax as replicas

Run = Callable[[Any], None]


def place(data: Any) -> Any:
    """Return a tree of arrays (n, ...) on the device, or on each of several."""
    return jax.block_until_ready(jax.device_put(data, replicas.everywhere()))


def lean(model: Any, data: Any, batch_size: int) -> Run:
    """Return an epoch as a loop in Python over the compiled train_step.

    Args:
        model: compiled by Keras and built.
        data: a tree of arrays (n, ...), placed.
        batch_size: of a full batch; the last one may be short.
    """
    del data
    return partial(_run, model, _updates(model), batch_size, 1)


def compiled(model: Any, data: Any, batch_size: int) -> Run:
    """Return an epoch as one program, or in programs of a few updates for convolutions on a CPU.

    Args:
        model: compiled by Keras and built.
        data: a tree of arrays (n, ...), placed.
        batch_size: of a full batch; the last one may be short.
    """
    if has_convolution(model) and jax.default_backend() == "cpu":
        updates = _updates(model)
        _, n_updates, size = sizes(length(data), batch_size, CHUNK)[0]
        updates.lower(_values(model), data, 0, n_updates, size)  # raises before anything is trained
        return partial(_run, model, updates, batch_size, CHUNK)
    epoch = jax.jit(partial(_epoch, model, batch_size), donate_argnums=0)
    program = epoch.lower(_values(model), data).compile()

    def run(data: Any) -> None:
        _assign(model, program(_values(model), data))

    return run


def _epoch(model: Any, batch_size: int, state: Any, data: Any) -> Any:
    n = length(data)
    n_full = n // batch_size

    def body(index: Any, state: Any) -> Any:
        return model.train_step(state, _cut(data, index * batch_size, batch_size))[1]

    if n_full:
        state = lax.fori_loop(0, n_full, body, state)
    if n_full * batch_size < n:
        short = _cut(data, n_full * batch_size, n - n_full * batch_size)
        state = model.train_step(state, short)[1]
    return replicas.unite(state)


def _updates(model: Any) -> Any:
    """Return a program of a number of updates, written out one after the other."""

    @partial(jax.jit, donate_argnums=0, static_argnums=(3, 4))
    def updates(state: Any, data: Any, start: Any, n_updates: int, size: int) -> Any:
        for number in range(n_updates):
            state = model.train_step(state, _cut(data, start + number * size, size))[1]
        return replicas.unite(state)

    return updates


def _run(model: Any, updates: Any, batch_size: int, chunk: int, data: Any) -> None:
    state = _values(model)
    for start, n_updates, size in sizes(length(data), batch_size, chunk):
        state = updates(state, data, start, n_updates, size)
    _assign(model, state)


def _cut(data: Any, start: Any, size: int) -> Any:
    """Return a batch, of which each of several devices has a part."""
    cut = jax.tree.map(lambda each: lax.dynamic_slice_in_dim(each, start, size), data)
    return replicas.divide(cut)


def _variables(model: Any) -> list[Any]:
    return [
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    ]


def _values(model: Any) -> Any:
    return tuple([variable.value for variable in each] for each in _variables(model))


def _assign(model: Any, state: Any) -> None:
    for variables, values in zip(_variables(model), state, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
