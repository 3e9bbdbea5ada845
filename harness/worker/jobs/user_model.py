"""A user's own Keras model on one backend: what it computes, and what rounding does there.

Two programs. The production one is the model as the user compiled it, and shows its loss, slots and
weights after one update. The other is instrumented: the output of every layer, in inference and in
training, and the gradients as they are handed to the optimizer, beside what the first one shows, so
that it cannot be a different program.

There is no referee for a model that nobody knows, so rounding is measured on the model itself, as
what its *twins* differ by:

- **rounding twins**: each weight and each input number moved to a neighbouring float32, up or down
  by chance. Every rounding error in a layer is as large as that of its operands, so a layer that
  magnifies the one magnifies the other: a loss of digits by cancellation shows as a large floor
  here, and so does a kink (a ReLU's input next to 0, a near tie under max pooling) that another
  order of summation may fall to the other side of.
- **sample twins**: the samples in another order, and the results put back. Sums over the batch
  (loss, gradients, the moments of batch normalisation) are the same in mathematics and are added up
  in another order.

A third kind, on one core only, is another process: see `harness.experiments.parity.model_check`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.job.answers import ComputedModel
from harness.job.asked import ComputeModel
from harness.spec.data.arrays import add_prefix, distance, strip_prefix, weights_digest
from harness.worker import facts
from harness.worker.own_code import describe_error
from harness.worker.user_inputs import Unusable, build_model, draw_batch, read_batch, unflatten
from harness.worker.user_program import (
    Program,
    leaf_layers,
    make_program,
    make_update,
    trace_quantities,
)

Arrays = dict[str, NDArray[Any]]
Say = Callable[..., None]
RANDOM = (
    "rate",
    "stddev",
    "dropout",
    "recurrent_dropout",
)  # at 0, a layer of Keras's draws nothing


def check(job: ComputeModel, say: Say, *_: Any) -> ComputedModel:
    """Write what the model computes, and return where, with floors by quantity.

    Args:
        job: the model and its batch, the files of both, and how many twins.
        say: is called with what is being done.

    Raises:
        Unusable: what the user named can be compared on no backend.
        Refused: this backend cannot do it.
    """
    say(phase="import")
    framework = facts.framework_of(job.framework)
    say(phase="build")
    program, batch, remarks = _prepare(job)
    inputs = _load_arrays(job.inputs, "")
    given = strip_prefix("weight", inputs)
    program.set_weights(given)
    with _named_errors("the model", job.model.file):
        found, floors = _compute(program, given, batch, job, say)
    np.savez(job.output, **found)  # type: ignore[arg-type]
    return ComputedModel(
        device=framework.devices()[0],
        versions=facts.versions(framework),
        read=weights_digest(inputs),
        layers={name: type(layer).__name__ for name, layer in leaf_layers(program.model)},
        floors={kind: _finite_or_none(each) for kind, each in floors.items()},
        remarks=tuple(remarks),
        n_parameters=int(sum(value.size for value in given.values())),
        n_samples=len(next(iter(batch.values()))),
    )


def _check_backend(expected: str) -> None:
    received = keras.backend.backend()
    if received != expected:
        asked = f"this process was asked to be {expected}"
        raise Refused(f"{asked}, and Keras computes with {received}")


def _prepare(job: ComputeModel) -> tuple[Program, Arrays, list[str]]:
    """Return the model as a program, its batch, and remarks; write the inputs if none are given.

    Raises:
        Unusable: the model or the batch cannot be compared on any backend.
        Refused: the user's code raises, or Keras computes with another backend.
    """
    _check_backend(job.framework)
    model = build_model(job.model, job.seed)
    if job.given:
        batch = _load_arrays(job.inputs, "x", "y")
    elif job.batch:
        batch = read_batch(job.batch)
    else:
        batch = draw_batch(model, job.seed)
    if not model.built or not model.weights:
        with _named_errors("the first call", job.model.file):
            model(unflatten("x", batch), training=False)
    remarks = _switch_off_randomness(model)
    program = make_program(model)
    if not job.given:
        inputs = add_prefix("weight", program.weights()) | batch
        np.savez(job.inputs, **inputs)  # type: ignore[arg-type]
    return program, batch, remarks


def _finite_or_none(floors: dict[str, float]) -> dict[str, float | None]:
    return {name: floor if np.isfinite(floor) else None for name, floor in floors.items()}


def _compute(
    program: Program, given: Arrays, batch: Arrays, job: ComputeModel, say: Say
) -> tuple[Arrays, dict[str, dict[str, float]]]:
    """Return every quantity, and by kind of twin the largest difference of each."""
    production: Arrays = {}
    if job.production:
        say(phase="the model as it was compiled")
        program.reset(given)
        production = make_update(program, batch)
    say(phase="the model laid open")
    program.instrument()
    found = trace_quantities(program, given, batch)
    floors: dict[str, dict[str, float]] = {}
    twins = [("rounding", number) for number in range(job.n_rounding)]
    twins += [("sample", number) for number in range(job.n_samples)]
    for kind, number in twins:
        say(phase=f"{kind} twin {number + 1}")
        random = np.random.default_rng([job.seed, number])
        make_twin = _rounding_twin if kind == "rounding" else _sample_twin
        twin, largest = make_twin(program, given, batch, random), floors.setdefault(kind, {})
        for name, value in found.items():
            largest[name] = max(largest.get(name, 0.0), distance(twin.get(name), value))
    return found | {f"production {name}": value for name, value in production.items()}, floors


def _rounding_twin(
    program: Program, given: Arrays, batch: Arrays, random: np.random.Generator
) -> Arrays:
    """Return every quantity, computed from weights and inputs moved by one rounding."""
    weights = {name: _nudge(random, value) for name, value in given.items()}
    inputs = {
        name: _nudge(random, value) if name.startswith("x") else value
        for name, value in batch.items()
    }
    return trace_quantities(program, weights, inputs)


def _sample_twin(
    program: Program, given: Arrays, batch: Arrays, random: np.random.Generator
) -> Arrays:
    """Return every quantity, computed from the samples in another order and put back in order."""
    order = random.permutation(len(next(iter(batch.values()))))
    back = np.argsort(order)
    shuffled = {name: value[order] for name, value in batch.items()}
    found = trace_quantities(program, given, shuffled)
    return {
        name: value[back] if name in program.by_sample else value for name, value in found.items()
    }


def _nudge(random: np.random.Generator, value: NDArray[Any]) -> NDArray[Any]:
    """Return an array with each number moved to a neighbouring float32, but zeros and integers."""
    if value.dtype != np.float32:
        return value
    towards = np.where(random.random(value.shape) < 0.5, -np.inf, np.inf).astype(np.float32)
    return np.where(value == 0, value, np.nextafter(value, towards))


def _switch_off_randomness(model: Any) -> list[str]:
    """Switch off what draws random numbers in training, and return a sentence for each.

    Raises:
        Unusable: a layer draws in a way that cannot be switched off.
    """
    found = []
    layers = model._flatten_layers(include_self=False)
    for layer in (each for each in layers if each._seed_generators):
        where = f"{layer.name} ({type(layer).__name__})"
        known = {name: getattr(layer, name, None) for name in RANDOM}
        rates = {name: rate for name, rate in known.items() if isinstance(rate, int | float)}
        if not rates:
            why = "draws random numbers in training, each backend its own. Leave it out here"
            raise Unusable(f"--model: layer {where}: {why}")
        for name in (name for name, rate in rates.items() if rate):
            setattr(layer, name, 0.0)
            why = f"{name} {rates[name]:g} is switched off: each backend draws its own"
            found.append(f"{where}: {why}")
    return found


@contextmanager
def _named_errors(what: str, file: Path) -> Iterator[None]:
    """Turn what the user's model raises into a sentence that names it."""
    try:
        yield
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"{what} {describe_error(error, str(file))}") from None


def _load_arrays(file: Path, *names: str) -> Arrays:
    with np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files if name.startswith(names)}
