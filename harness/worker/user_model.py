"""A user's own Keras model on one backend: what it computes from given weights and a given batch, and what rounding does there.

Two programs. The production one is the model as the user compiled it, and shows its loss, slots and
weights after one update. The other is laid open: the output of every layer, in inference and in
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

A third kind, on one core only, is another process: see `harness.judge.user_model.check`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.inputs.arrays import distance, weights_digest
from harness.worker import facts
from harness.worker.user_inputs import Unusable, batch_of, drawn, model_of, nested, said
from harness.worker.user_program import Program, laid_open, leaves, program_of, update

Arrays = dict[str, NDArray[Any]]
RANDOM = (
    "rate",
    "stddev",
    "dropout",
    "recurrent_dropout",
)  # attributes that, at 0, make a layer of Keras's draw nothing


def check(job: Any, say: Callable[..., None]) -> dict[str, Any]:
    """Write what the model computes, and return where, with floors by quantity.

    Args:
        job: backend; model and batch (file, function, name), batch None where one is drawn; inputs,
            an .npz of weights and batch, and given, whether it is there or to be written; output,
            an .npz; seed; n_rounding and n_samples twins; production, whether that program runs
            too.
        say: told what is being done.

    Returns:
        read: digest of the inputs; layers: class by name; floors: by kind of twin and by quantity
            the largest
        difference, as a Frobenius norm, None where it is not finite; or {"usage": why} where no
            backend could do it.

    Raises:
        Refused: this backend cannot do it.
    """
    say(phase="import")
    framework = facts.framework_of(job.backend)
    if keras.backend.backend() != job.backend:
        raise Refused(
            f"this process was asked to be {job.backend}, and Keras computes with {keras.backend.backend()}"
        )
    try:
        say(phase="build")
        model = model_of(job.model, job.seed)
        batch = (
            _loaded(job.inputs, "x", "y")
            if job.given
            else batch_of(job.batch)
            if job.batch
            else drawn(model, job.seed)
        )
        if not model.built or not model.weights:
            with _blamed("the first call", job.model.file):
                model(nested("x", batch), training=False)
        remarks = _without_chance(model)
        program = program_of(model)
        if not job.given:
            np.savez(
                job.inputs,
                **{f"weight/{name}": value for name, value in program.weights().items()},
                **batch,
            )  # type: ignore[arg-type]
    except Unusable as error:
        return {"usage": str(error)}
    inputs = _loaded(job.inputs, "")
    given = {
        name.removeprefix("weight/"): value
        for name, value in inputs.items()
        if name.startswith("weight/")
    }
    program.fits(given)
    with _blamed("the model", job.model.file):
        found, floors = _computed(program, given, batch, job, say)
    np.savez(job.output, **found)  # type: ignore[arg-type]
    return {
        "backend": keras.backend.backend(),
        "device": framework.devices()[0],
        "versions": facts.versions(framework),
        "read": weights_digest(inputs),
        "layers": {name: type(layer).__name__ for name, layer in leaves(model)},
        "floors": {
            kind: {name: floor if np.isfinite(floor) else None for name, floor in of.items()}
            for kind, of in floors.items()
        },
        "remarks": remarks,
        "n_parameters": int(sum(value.size for value in given.values())),
        "n_samples": len(next(iter(batch.values()))),
    }


def _computed(
    program: Program, given: Arrays, batch: Arrays, job: Any, say: Callable[..., None]
) -> tuple[Arrays, dict[str, dict[str, float]]]:
    """Return every quantity from the inputs as given, and how far each kind of twin comes to lie from them."""
    production: Arrays = {}
    if job.production:
        say(phase="the model as it was compiled")
        program.set(given)
        production = {f"production {name}": value for name, value in update(program, batch).items()}
    say(phase="the model laid open")
    program.lay_open()
    found = laid_open(program, given, batch)
    floors: dict[str, dict[str, float]] = {}
    for kind, number in [("rounding", number) for number in range(job.n_rounding)] + [
        ("sample", number) for number in range(job.n_samples)
    ]:
        say(phase=f"{kind} twin {number + 1}")
        other = _twin(program, given, batch, kind, np.random.default_rng([job.seed, number]))
        of = floors.setdefault(kind, {})
        of |= {
            name: max(of.get(name, 0.0), distance(other.get(name), value))
            for name, value in found.items()
        }
    return {**found, **production}, floors


def _twin(
    program: Program, given: Arrays, batch: Arrays, kind: str, random: np.random.Generator
) -> Arrays:
    """Return every quantity as a twin has it."""
    if kind == "rounding":
        return laid_open(program, _nudged(random, given), _nudged(random, batch, "x"))
    order = random.permutation(len(next(iter(batch.values()))))
    found = laid_open(program, given, {name: value[order] for name, value in batch.items()})
    return {
        name: _undone(value, order) if name in program.by_sample else value
        for name, value in found.items()
    }


def _nudged(
    random: np.random.Generator, arrays: Mapping[str, NDArray[Any]], only: str = ""
) -> Arrays:
    """Return the arrays with each number, 0 apart, moved to a neighbouring float32; whole numbers stay, and all but those of `only`."""

    def moved(value: NDArray[Any]) -> NDArray[Any]:
        towards = np.where(random.random(value.shape) < 0.5, -np.inf, np.inf).astype(np.float32)
        return np.where(value == 0, value, np.nextafter(value, towards))

    return {
        name: moved(value) if value.dtype == np.float32 and name.startswith(only) else value
        for name, value in arrays.items()
    }


def _undone(value: NDArray[Any], order: NDArray[Any]) -> NDArray[Any]:
    back = np.empty_like(value)
    back[order] = value
    return back


def _without_chance(model: Any) -> list[str]:
    """Switch off what draws random numbers in training, and return a sentence for each such layer.

    Raises:
        Unusable: a layer draws in a way that cannot be switched off.
    """
    found = []
    for layer in model._flatten_layers(include_self=False):
        known = {
            name: getattr(layer, name)
            for name in RANDOM
            if isinstance(getattr(layer, name, None), int | float)
        }
        if layer._seed_generators and not known:
            kind = type(layer).__name__
            raise Unusable(
                f"--model: layer {layer.name} ({kind}): draws random numbers in training, each backend its own. Leave it out here"
            )
        for name in known if layer._seed_generators else ():
            if known[name]:
                setattr(layer, name, 0.0)
                found.append(
                    f"{layer.name} ({type(layer).__name__}): {name} {known[name]:g} is switched off: each backend draws its own"
                )
    return found


@contextmanager
def _blamed(what: str, file: str) -> Iterator[None]:
    """Turn what the user's model raises into a sentence that names it."""
    try:
        yield
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"{what} {said(error, file)}") from None


def _loaded(file: str, *names: str) -> Arrays:
    with np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files if name.startswith(names)}
