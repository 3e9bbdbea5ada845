"""One update from each given state, as each arm's production path does it: what it computes, quantity by quantity.

Nothing is instrumented here. An arm is resumed at a state, predicts, trains on one batch and is read out. Gradients come
from the same compiled program with another optimizer: one step of plain SGD at the rate of PROBE, a power of two, leaves
them in the weights to float32's last bits.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.spec.data.arrays import load_dataset, network_input, weights_digest
from harness.worker import facts

Arrays = dict[str, NDArray[Any]]
PROBE = (
    2.0**20
)  # a learning rate that makes weights forgettable beside their gradients, and divides out exactly


def trace(job: Any, say: Callable[..., None]) -> dict[str, Any]:
    """Write one .npz for each arm, program and point; return where, with the digests of what was read and who computed.

    Args:
        job: backend; arms (name -> module and options); spec; points (name -> .npz of weights, slots, n_updates, x and y);
            several (a name among points -> epochs, each a .npz of x and y) to train on from there;
            epoch (see `first_epochs`; may be None); folder.
        say: told what is being done.

    Raises:
        Refused: this process is not what the job takes it for.
    """
    say(phase="import")
    framework = facts.framework_of(job.backend)
    known = {
        "versions": facts.versions(framework),
        "device": framework.devices()[0],
        "settings": framework.settings(),
    }
    points = {name: _arrays(file) for name, file in vars(job.points).items()}
    several = {name: [_arrays(file) for file in files] for name, files in vars(job.several).items()}
    written: list[dict[str, Any]] = []
    for label, arm in vars(job.arms).items():
        say(phase=f"trace {label}")
        try:
            written += _written(job, label, arm, points, several)
        except Refused:
            raise
        except (
            Exception
        ) as error:  # an arm that fails is its own failure: the others are checked all the same
            logging.exception(label)
            written.append(
                {
                    "arm": label,
                    "failed": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}",
                }
            )
    return {"traces": written, "backend": _backend(job.backend), **known}


def _written(
    job: Any,
    label: str,
    arm: SimpleNamespace,
    points: Mapping[str, Arrays],
    several: Mapping[str, list[Arrays]],
) -> list[dict[str, Any]]:
    """Write one arm's traces, and return an entry for each."""
    module = importlib.import_module(f"harness.worker.arms.{arm.module}")
    mine = {name: point for name, point in points.items() if not (arm.anew and point["n_updates"])}
    programs: dict[str, Iterable[tuple[str, Arrays]]] = {}
    if mine:
        programs["production"] = production(module, job.spec, arm.options, mine)
    if mine and arm.module == "keras_fit" and job.instrumented:
        programs["instrumented"] = importlib.import_module("harness.worker.instrument").steps(
            job.spec, mine
        )
    if several and not arm.anew:
        programs["loop"] = loops(module, job.spec, arm.options, points, several)
    digests = {name: weights_digest(point) for name, point in points.items()}
    if job.epoch and not arm.anew:
        start = _arrays(job.epoch.start)
        programs["epoch"] = first_epochs(module, arm.options, start, job.epoch)
        digests |= {f"update-{stop}": weights_digest(start) for stop in job.epoch.stops}
    written = []
    for program, steps in programs.items():
        for point, found in steps:
            file = Path(job.folder) / f"{label}-{program}-{point}.npz"
            np.savez(file, **found)  # type: ignore[arg-type]
            written.append(
                {
                    "arm": label,
                    "program": program,
                    "point": point,
                    "file": file.name,
                    "read": digests[point],
                }
            )
    return written


def production(
    arm: ModuleType, spec: Any, options: SimpleNamespace, points: Mapping[str, Arrays]
) -> Iterable[tuple[str, Arrays]]:
    """Yield what one update of the arm computes from each point: see `harness.referee.trace`."""
    first = _named(next(iter(points.values())), "weight")
    state = arm.build(spec, first, options)
    plain = SimpleNamespace(
        **{
            **vars(spec),
            "optimizer": SimpleNamespace(name="sgd", learning_rate=PROBE, momentum=0.0),
        }
    )
    probe = arm.build(plain, first, options)
    for name, point in points.items():
        weights, slots, x, y = (
            _named(point, "weight"),
            _named(point, "slot"),
            point["x"],
            point["y"].astype(np.uint8),
        )
        probe = arm.resume(probe, weights, {}, 0)
        probe, _, _ = arm.epoch(probe, arm.place(x, y))
        moved = arm.export(probe)
        state = arm.resume(state, weights, slots, int(point["n_updates"]))
        found = _prefixed("set", {**arm.export(state), **arm.slots(state)})
        found["outputs"] = arm.predict(state, x)
        state, loss, accuracy = arm.epoch(state, arm.place(x, y))
        found |= {
            "loss": np.asarray(loss),
            "accuracy": np.asarray(accuracy),
            "n_updates": np.asarray(arm.facts(state)["n_updates"]),
        }
        found |= {
            f"gradient/{key}": ((value.astype(np.float64) - moved[key]) / PROBE).astype(np.float32)
            for key, value in weights.items()
        }
        yield (
            name,
            found | _prefixed("slot", arm.slots(state)) | _prefixed("weight", arm.export(state)),
        )


def loops(
    arm: ModuleType,
    spec: Any,
    options: SimpleNamespace,
    points: Mapping[str, Arrays],
    several: Mapping[str, list[Arrays]],
) -> Iterable[tuple[str, Arrays]]:
    """Yield what the arm's epochs come to from each point: several batches each, the last one short, another order in each."""
    for name, epochs in several.items():
        point = points[name]
        state = arm.build(spec, _named(point, "weight"), options)
        state = arm.resume(
            state, _named(point, "weight"), _named(point, "slot"), int(point["n_updates"])
        )
        reported = []
        for epoch in epochs:
            state, loss, accuracy = arm.epoch(
                state, arm.place(epoch["x"], epoch["y"].astype(np.uint8))
            )
            reported.append((loss, accuracy))
        arm.wait(state)
        found = {"n_updates": np.asarray(arm.facts(state)["n_updates"])}
        found |= {
            "loss": np.array([loss for loss, _ in reported]),
            "accuracy": np.array([accuracy for _, accuracy in reported]),
        }
        yield (
            name,
            found | _prefixed("slot", arm.slots(state)) | _prefixed("weight", arm.export(state)),
        )


def first_epochs(
    arm: ModuleType, options: SimpleNamespace, start: Arrays, epoch: Any
) -> Iterable[tuple[str, Arrays]]:
    """Yield what the arm's first epoch comes to as far as each update asked for: each from the initial state, in one go.

    Args:
        arm: its module.
        options: what is asked of it.
        start: the initial state, as a point has it.
        epoch: spec; dataset and order, files; stops, the updates as far as which it is trained.
    """
    weights, slots = _named(start, "weight"), _named(start, "slot")
    parts, order = load_dataset(Path(epoch.dataset)), np.load(epoch.order, allow_pickle=False)
    state = arm.build(epoch.spec, weights, options)
    for stop in epoch.stops:
        samples = order[0][: stop * epoch.spec.batch_size]
        state = arm.resume(state, weights, slots, 0)
        state, loss, _ = arm.epoch(
            state, arm.place(network_input(parts["x_train"][samples]), parts["y_train"][samples])
        )
        arm.wait(state)
        found = {
            "loss": np.asarray(loss, np.float64),
            "n_updates": np.asarray(arm.facts(state)["n_updates"]),
        }
        yield (
            f"update-{stop}",
            found | _prefixed("slot", arm.slots(state)) | _prefixed("weight", arm.export(state)),
        )


def _backend(asked: str) -> str:
    """Return which framework computes here, as the process itself shows it.

    Raises:
        Refused: Keras is set to another backend than the job's.
    """
    keras = sys.modules.get("keras")
    if keras is not None and keras.backend.backend() != asked:
        raise Refused(
            f"this process was asked to be {asked}, and Keras computes with {keras.backend.backend()}"
        )
    present: list[str] = [name for name in ("tensorflow", "jax", "torch") if name in sys.modules]
    if asked not in (present or ["numpy"]):
        raise Refused(f"this process was asked to be {asked}, and has loaded {', '.join(present)}")
    return asked


def _arrays(file: str) -> Arrays:
    with np.load(file, allow_pickle=False) as archive:
        return dict(archive)


def _named(arrays: Mapping[str, NDArray[Any]], kind: str) -> Arrays:
    """Return the arrays under "kind/", without it."""
    return {
        name.removeprefix(f"{kind}/"): value
        for name, value in arrays.items()
        if name.startswith(f"{kind}/")
    }


def _prefixed(kind: str, arrays: Mapping[str, Any]) -> Arrays:
    return {f"{kind}/{name}": np.array(value) for name, value in arrays.items()}
