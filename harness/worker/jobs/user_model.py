"""A user's own Keras model on one backend: what it computes, in its own dtype or in float64.

Computed are the output of every layer, in inference and in training, the loss, the gradients as
they are handed to the optimizer, its slots, the updates and what else the model remembers: from
several states of a training, compiled as the user compiles it. Random numbers come from outside, so
that dropout is computed and not switched off.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.job.answers import ComputedModel
from harness.job.asked import ComputeModel, TryLayers
from harness.spec.data.arrays import add_prefix, load_arrays, strip_prefix, weights_digest
from harness.worker import facts, float64
from harness.worker.draws import OutsideDraws
from harness.worker.fork import can_fork, run_in_child
from harness.worker.layer_outputs import leaf_layers
from harness.worker.model_states import (
    COUNTS,
    make_states,
    open_program,
    plain_dtypes,
    trace_states,
)
from harness.worker.own_code import named_errors
from harness.worker.saved_model import make_model
from harness.worker.sketch import shorten
from harness.worker.user_inputs import draw_batch, first_batch, read_batch
from harness.worker.user_program import Program

Arrays = dict[str, NDArray[Any]]
Say = Callable[..., None]
LARGE = 100  # layers; a model of more is judged from fewer states, unless they are named
SOME = (10,)
SHORT = ("bfloat16", "float16")  # what a model may compute in, that with the fewest digits first


def check(job: ComputeModel, say: Say, *_: Any) -> ComputedModel:
    """Write what the model computes, and return where and how.

    Float64 changes all of a process, so a child of this one computes in the model's own dtype.

    Args:
        job: the model and its batch, and the files of inputs and outputs.
        say: is called with what is being done.

    Raises:
        Unusable: what the user named can be compared on no backend.
        Refused: this backend cannot do it.
    """
    say(phase="import")
    facts.keras_framework(job.framework)  # imported, and nothing computed yet
    if not job.exact or not job.rounded:
        return _compute(job, say)
    rounded = replace(job, exact=None)
    if not can_fork():
        return _compute(rounded, say)
    found = run_in_child(lambda: _compute(rounded, say))
    try:
        exact = _compute(replace(job, rounded=None), say)
    except Refused as error:
        return replace(found, inexact=str(error))
    return replace(found, short=exact.short, remarks=exact.remarks)


def _compute(job: ComputeModel, say: Say) -> ComputedModel:
    """Write what the model computes in one dtype, and return where and how."""
    framework = facts.framework_of(job.framework)
    if job.exact:
        float64.compute_in_float64()
    say(phase="build")
    program, batch = open_user_model(job)
    n_layers = len(list(leaf_layers(program.model)))
    is_large = n_layers > LARGE and not job.updates
    with named_errors("the model", job.model.file):
        if not job.inputs.is_file():
            updates = job.updates or (SOME if is_large else COUNTS)
            say(phase=f"{updates[-1]} updates")
            _write_inputs(job.inputs, make_states(program, [batch], updates), batch)
        inputs = load_arrays(job.inputs)
        batches = {"whole": batch} if is_large else _batches(program, batch, job)
        short = _trace(program, strip_prefix("state", inputs), batches, job, say)
    few = f"a model of {n_layers} layers: judged after 10 updates; --full judges it from 5 states"
    return ComputedModel(
        device=framework.devices()[0],
        versions=facts.versions(framework),
        read=weights_digest(inputs),
        layers={name: type(layer).__name__ for name, layer in leaf_layers(program.model)},
        dtype=_shortest_dtype(program.model),
        short=tuple(short),
        remarks=(*dict.fromkeys(float64.KNOWN), *([few] if is_large else [])),
        n_parameters=int(sum(np.prod(each.shape) for each in program.variables.values())),
        n_samples=len(next(iter(batch.values()))),
    )


def _write_inputs(file: Path, states: Arrays, batch: Arrays) -> None:
    """Write what every backend begins from, of any shape: the whole file, or none."""
    made = add_prefix("state", states) | add_prefix("batch", batch)
    part = file.with_suffix(".part.npz")
    np.savez(part, **made)  # type: ignore[arg-type]
    part.replace(file)


def open_user_model(job: ComputeModel | TryLayers) -> tuple[Program, Arrays]:
    """Return the model as an instrumented program, and its batch, (n, ...) each.

    Raises:
        Unusable: the model or the batch cannot be compared on any backend.
        Refused: the user's code raises, or Keras computes with another backend.
    """
    facts.keras_framework(job.framework)
    draws = OutsideDraws(job.seed)
    draws.install()
    model = make_model(job.model, job.seed, f"--model: {job.model.name}")
    batch = _read_batch(model, job)
    with named_errors("the first call", job.model.file):
        program = open_program(model, batch, draws)
        program.instrument()
    return program, batch


def _read_batch(model: Any, job: ComputeModel | TryLayers) -> Arrays:
    """Return the batch, (n, ...) each by place: what is written, named, made, or else drawn."""
    if job.inputs.is_file() or isinstance(job, TryLayers):
        return strip_prefix("batch", load_arrays(job.inputs))
    if job.batch:
        return read_batch(job.batch)
    if job.dataset:
        return first_batch(job.dataset, job.batch_size)
    return draw_batch(model, job.seed)


def _batches(program: Program, batch: Arrays, job: ComputeModel) -> dict[str, Arrays]:
    """Return the batch, (n, ...) each, and in float64 one with fewer samples, by name."""
    if not job.exact or not _takes_any_number(program.model):
        return {"whole": batch}
    n_short = max(1, len(next(iter(batch.values()))) // 2 - 1)
    cut = {name: value[:n_short] for name, value in batch.items()}
    return {"whole": batch, f"a batch of {n_short}": cut}


def _trace(
    program: Program, states: Arrays, batches: dict[str, Arrays], job: ComputeModel, say: Say
) -> list[str]:
    """Write every quantity at every state, and return the operations left in a shorter dtype.

    Args:
        program: instrumented.
        states: of `make_states`, of any shape.
        batches: (n, ...) each by place, by name.
        job: says whether this is in float64, and where to write.
        say: is called with what is being done.
    """
    if job.exact:
        states = float64.widen(states)
        batches = {name: float64.widen(batch) for name, batch in batches.items()}
    where = "float64" if job.exact else "its own dtype"
    say(phase=f"the model in {where}")
    found: Arrays = {}
    with float64.watch() if job.exact else nullcontext(list) as short:
        for state, quantities in trace_states(program, states, batches):
            say(phase=f"the model in {where}: {state}")
            found |= add_prefix(state, shorten(plain_dtypes(quantities)))
        np.savez(job.exact or job.rounded, **found)  # type: ignore[arg-type]
        return list(short())


def _takes_any_number(model: Any) -> bool:
    """Return whether a model takes another number of samples, as far as it says."""
    inputs = keras.tree.flatten(getattr(model, "inputs", None) or [])
    return not any(each.shape[0] for each in inputs)


def _shortest_dtype(model: Any) -> str:
    """Return the shortest dtype that a layer computes in, "float32" where none is shorter."""
    used = {layer.compute_dtype for _, layer in leaf_layers(model)}
    return next((dtype for dtype in SHORT if dtype in used), "float32")
