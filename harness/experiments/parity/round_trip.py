"""The Keras model saved under each backend and loaded under each.

Equal to the bit, or the name of what is not.

Equal to what was given to the backend that saved, never to what that backend says it holds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.engine.executor import Executor, perform
from harness.engine.plan import Planned
from harness.errors import ConfigError
from harness.experiments.parity.gather import Say
from harness.job.answers import LoadedModel, LoadedModels, Refusal, SavedModel
from harness.job.asked import LoadModels, SavedFile, SaveModel
from harness.records.parity import FORMS, Parity, RoundTrip
from harness.referee import differences, fixtures
from harness.report.document import some
from harness.spec.data.arrays import load_dataset, network_input
from harness.spec.files import scratch

Arrays = Mapping[str, NDArray[Any]]
NOTHING = LoadedModels(loaded=())


@dataclass(frozen=True, slots=True)
class Saved:
    """What one backend saved, or why it did not."""

    files: Mapping[str, str] = field(default_factory=dict)  # form -> path
    configuration: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""
    framework: str = ""  # that saved it


def with_round_trips(
    parity: Parity, planned: tuple[Planned, ...], executor: Executor, say: Say = lambda what: None
) -> Parity:
    """Return the record with round trips and its verdict over them too; see `round_trips`.

    Args:
        parity: the record so far.
        planned: one run for each arm.
        executor: that does jobs.
        say: told what is being done.
    """
    began = time.monotonic()
    trips = round_trips(planned, executor, say)
    total_s = parity.total_s + time.monotonic() - began
    known = (*parity.documented, *documented(trips))
    return parity.extended(round_trips=trips, documented=known, total_s=total_s)


def documented(trips: Iterable[RoundTrip]) -> list[str]:
    """Return a sentence for the difference that is expected, with the round trips that show it."""
    names = [trip.name for trip in trips if trip.alone]
    said = (
        "a compiled .keras file of PyTorch's names an optimizer that cannot be imported without "
        "PyTorch: load_model fails, and restores all of it when told "
        "custom_objects={CLASS: keras.optimizers.CLASS}. A .weights.h5 file loads"
    )
    return [f"round trip {', '.join(names)}: {said}"] if names else []


def savers(planned: tuple[Planned, ...]) -> dict[str, Planned]:
    """Return by backend the arm that is a compiled Keras model.

    Raises:
        ConfigError: there is none. Asked before anything runs.
    """
    found: dict[str, Planned] = {}
    for each in planned:
        if each.request.module == "keras_fit":
            found.setdefault(each.request.backend, each)
    if not found:
        raise ConfigError(
            "--round-trips: no arm here saves a Keras model. Name one that does: --arm keras"
        )
    return found


def round_trips(
    planned: tuple[Planned, ...], executor: Executor, say: Say = lambda what: None
) -> tuple[RoundTrip, ...]:
    """Save under each backend with Keras, load under each; return a verdict a pair and file form.

    The model saved is the adversarial point: no slot of it is zero, and it has done 468 updates.
    Its learning rate is the spec's divided by 2, 4, 8 for the backends in turn: a model built anew
    does not hold it by chance, nor one saved by another.

    Args:
        planned: one run for each arm, all of one spec, seed and dataset.
        executor: that does jobs.
        say: told what is being done.

    Raises:
        ConfigError: see `savers`; or the spec has no equal inputs.
    """
    arms, point = savers(planned), _adversarial(planned[0])
    rate = planned[0].request.spec.optimizer.learning_rate
    rates = {name: rate / 2**number for number, name in enumerate(arms, start=1)}
    expected = {name: expected_arrays(point, rate) for name, rate in rates.items()}
    found: list[RoundTrip] = []
    with scratch() as folder:
        np.savez(folder / "point.npz", **point.arrays())  # type: ignore[arg-type]
        saved: dict[str, Saved] = {}
        for name, arm in arms.items():
            kept = perform(executor, _save_job(arm, folder, rates[name]), say).answer
            saved[name] = read_saved(kept, name, expected[name], arm.request.arm.framework)
        files = tuple(
            SavedFile(saved_by=name, form=form, file=file)
            for name, each in saved.items()
            for form, file in each.files.items()
        )
        for name, arm in arms.items():
            job = _load_job(arm, folder, files)
            answer = perform(executor, job, say).answer if files else NOTHING
            framework = arm.request.arm.framework
            for saver, each in saved.items():
                found += judge_loaded(answer, saver, each, name, expected[saver], framework)
    return tuple(found)


def _save_job(arm: Planned, folder: Path, learning_rate: float) -> SaveModel:
    return SaveModel(
        **arm.where(),
        spec=arm.request.spec,
        point=folder / "point.npz",
        learning_rate=learning_rate,
        folder=_room(folder, "by", arm),
    )


def _load_job(arm: Planned, folder: Path, files: tuple[SavedFile, ...]) -> LoadModels:
    return LoadModels(
        **arm.where(),
        spec=arm.request.spec,
        n_inputs=arm.request.data.n_inputs,
        files=files,
        folder=_room(folder, "under", arm),
    )


def _room(folder: Path, how: str, arm: Planned) -> Path:
    """Return a folder of its own for what a backend writes."""
    room = folder / f"{how}-{arm.request.backend}"
    room.mkdir()
    return room


def expected_arrays(point: fixtures.Point, learning_rate: float) -> dict[str, NDArray[Any]]:
    """Return what a model resumed at that point, at that learning rate, must hold."""
    arrays = {name: value for name, value in point.arrays().items() if name not in ("x", "y")}
    return arrays | {"learning_rate": np.asarray(learning_rate, np.float32)}


def find_faults(expected: Arrays, received: Arrays) -> list[str]:
    """Return a sentence for each array that is not, to the bit, what it should be.

    **Differs**: n_updates alone is compared as a number: TensorFlow counts in int64, JAX and
    PyTorch in int32.
    """
    found = [f"{name}: unexpected" for name in received if name not in expected]
    several = {name: _fault(name, value, received.get(name)) for name, value in expected.items()}
    return found + [f"{name}: {fault}" for name, fault in several.items() if fault]


def _fault(name: str, value: NDArray[Any], held: NDArray[Any] | None) -> str:
    """Return what is wrong with one array, "" where it is equal to the bit."""
    if held is None:
        return "missing"
    if held.shape != value.shape or (name != "n_updates" and held.dtype != value.dtype):
        return f"expected {value.dtype} {value.shape}; received {held.dtype} {held.shape}"
    if n_not_finite := int(np.count_nonzero(~np.isfinite(held))):
        return f"{n_not_finite} of {held.size} elements are not finite"
    if held.ndim == 0:
        return "" if held == value else f"expected {value}; received {held}"
    if held.tobytes() == value.tobytes():
        return ""
    bits = held.view(f"u{held.itemsize}") != value.view(f"u{value.itemsize}")
    return f"{int(np.count_nonzero(bits))} of {value.size} elements differ"


def read_saved(
    answer: SavedModel | Refusal, backend: str, expected: Arrays, framework: str = ""
) -> Saved:
    """Return what a backend saved by its worker's answer, or why nothing of it may be loaded.

    Args:
        answer: the worker's.
        backend: that saved.
        expected: what the model holds.
        framework: that saved; that of the backend's name where none is given.
    """
    failure = _why_unsound(answer, expected)
    if isinstance(answer, Refusal) or failure:
        return Saved(failure=f"save under {backend}: {failure}")
    return Saved(answer.files, answer.configuration, framework=framework or backend)


def _why_unsound(answer: SavedModel | Refusal, expected: Arrays) -> str:
    """Return the first reason why nothing that was saved may be loaded, "" where there is none."""
    if isinstance(answer, Refusal):
        return answer.reason
    if missing := [form for form in FORMS if form not in answer.files]:
        return f"no {' and no '.join(missing)} came of it"
    if wrong := _compared(expected, answer.held):
        return f"it does not hold what was given to it: {some(wrong)}"
    return "; ".join(_warned(answer))


def judge_loaded(
    answer: LoadedModels | Refusal,
    saved_by: str,
    saved: Saved,
    backend: str,
    expected: Arrays,
    framework: str = "",
) -> Iterator[RoundTrip]:
    """Yield the verdict on each form of what one backend saved.

    Args:
        answer: of the worker of the backend that loaded it.
        saved_by: the backend that saved.
        saved: by it.
        backend: that loaded.
        expected: what the model must hold.
        framework: that loaded; that of the backend's name where none is given.
    """
    loaded = () if isinstance(answer, Refusal) else answer.loaded
    failure = saved.failure or (answer.reason if isinstance(answer, Refusal) else "")
    entries = {} if failure else {(each.saved_by, each.form): each for each in loaded}
    for form in FORMS:
        trip = RoundTrip(
            saved_by=saved_by, loaded_by=backend, form=form, verdict="failed", reason=failure
        )
        entry = entries.get((saved_by, form))
        if entry is not None:
            yield _judge_entry(trip, entry, saved, expected, framework or backend)
        else:
            reason = failure or "the worker handed nothing back of it"
            yield trip.model_copy(update={"reason": reason})


def _judge_entry(
    trip: RoundTrip, entry: LoadedModel, saved: Saved, expected: Arrays, framework: str
) -> RoundTrip:
    """Return the verdict on one file that a worker has tried to load."""
    if entry.failure:
        return trip.model_copy(update={"reason": "; ".join([entry.failure, *_warned(entry)])})
    wrong, alone = _compared(expected, entry.held), entry.alone
    known = differences.is_unportable(saved.framework, framework, trip.form, alone)
    if alone and not known:
        wrong.append(f"load_model needs to be told the optimizer's class ({alone})")
    others = _apart(saved.configuration, entry.configuration)
    wrong += [f"{name}: other settings" for name in others]
    reasons = [*([some(wrong)] if wrong else []), *_warned(entry)]
    return trip.model_copy(
        update={
            "alone": alone if known else "",
            "verdict": "departs" if reasons else "agrees",
            "reason": "; ".join(reasons),
            "n_compared": sum(value.size for value in expected.values()),
        }
    )


def _adversarial(planned: Planned) -> fixtures.Point:
    spec, parts = planned.request.spec, load_dataset(planned.dataset)
    weights, order = planned.drawn()
    rows = order[0, : spec.batch_size]
    x, y = network_input(parts["x_train"][rows]), parts["y_train"][rows]
    return fixtures.adversarial(spec, weights, x, y)


def _compared(expected: Arrays, file: str) -> list[str]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return find_faults(expected, dict(archive))
    except (OSError, ValueError) as error:
        return [f"what was read back cannot be read ({error})"]


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    names, missing = dict.fromkeys([*one, *other]), object()
    return [name for name in names if one.get(name, missing) != other.get(name, missing)]


def _warned(entry: SavedModel | LoadedModel) -> list[str]:
    return [f"warned: {each}" for each in entry.warned]
