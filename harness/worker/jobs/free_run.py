"""Whole trainings by each arm's production path, read out at a few updates and at the end. Nothing is timed here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.spec.data.arrays import load_dataset, load_weights, network_input
from harness.worker import facts


def free_runs(job: Any, say: Callable[..., None]) -> dict[str, Any]:
    """Write one .npz for each arm and seed: weights after each update asked for, final weights, outputs for the test images.

    Args:
        job: backend; arms (name -> module and options); spec; dataset; seeds (number -> weights and order, files);
            updates, in rising order, all in the first epoch; folder.
        say: told what is being done.
    """
    say(phase="import")
    framework = facts.framework_of(job.backend)
    known = {"versions": facts.versions(framework), "device": framework.devices()[0]}
    parts = load_dataset(Path(job.dataset))
    for name, arm in vars(job.arms).items():
        module = importlib.import_module(f"harness.worker.arms.{arm.module}")
        for seed, inputs in vars(job.seeds).items():
            say(phase=f"train {name}, seed {seed}")
            order = np.load(inputs.order, allow_pickle=False)
            state = module.build(job.spec, load_weights(Path(inputs.weights)), arm.options)
            found: dict[str, NDArray[Any]] = {}
            for done, samples in _stretches(order, job.updates, job.spec.batch_size):
                state, loss, _ = module.epoch(
                    state,
                    module.place(
                        network_input(parts["x_train"][samples]), parts["y_train"][samples]
                    ),
                )
                module.wait(state)
                if done in job.updates:
                    found |= {
                        f"at-{done}/{key}": value for key, value in module.export(state).items()
                    }
            found |= {f"final/{key}": value for key, value in module.export(state).items()}
            found |= {
                "outputs": module.predict(state, network_input(parts["x_test"])),
                "loss": np.asarray(loss),
            }
            found["n_updates"] = np.asarray(module.facts(state)["n_updates"])
            np.savez(Path(job.folder) / f"{name}-{seed}.npz", **found)  # type: ignore[arg-type]
    return known


def _stretches(
    order: NDArray[np.int32], updates: Iterable[int], batch_size: int
) -> Iterable[tuple[int, NDArray[np.int32]]]:
    """Yield the samples to train on in one go, and the count of updates after them: up to each update asked for, then whole epochs."""
    a_epoch = -(-order.shape[1] // batch_size)
    begin = 0
    for update in (*(number for number in updates if number < a_epoch), a_epoch):
        yield update, order[0][begin * batch_size : update * batch_size]
        begin = update
    for index, samples in enumerate(order[1:], start=2):
        yield index * a_epoch, samples
