"""Whole trainings by each arm's production path, read out at a few updates and at the end.

Nothing is timed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.job.answers import Computed
from harness.job.asked import Drawn, TrainFreely
from harness.spec.data.arrays import add_prefix, load_dataset, load_weights, network_input
from harness.worker import facts
from harness.worker.own_code import import_arm


def free_runs(job: TrainFreely, say: Callable[..., None], *_: Any) -> Computed:
    """Write one .npz for each arm and seed, and return who computed them.

    It holds the weights after each update asked for, the final weights, and the outputs for the
    test images. `say` is called with what is being done.
    """
    say(phase="import")
    framework = facts.framework_of(job.framework)
    parts = load_dataset(job.dataset)
    for name, arm in job.arms.items():
        module = import_arm(arm.module, job.root)
        for seed, inputs in job.seeds.items():
            say(phase=f"train {name}, seed {seed}")
            found = _train(module, job, arm.options, inputs, parts)
            np.savez(job.folder / f"{name}-{seed}.npz", **found)  # type: ignore[arg-type]
    return Computed(versions=facts.versions(framework), device=framework.devices()[0])


def _train(
    arm: ModuleType,
    job: TrainFreely,
    options: Any,
    inputs: Drawn,
    parts: Mapping[str, NDArray[np.uint8]],
) -> dict[str, NDArray[Any]]:
    """Return what is read out of one whole training of an arm."""
    if inputs.weights is None or inputs.order is None:
        raise Refused("the job names no initial weights or no order of the samples")
    order = np.load(inputs.order, allow_pickle=False)
    state = arm.build(job.spec, load_weights(inputs.weights), options)
    found: dict[str, NDArray[Any]] = {}
    for n_updates, samples in _stretches(order, job.updates, job.spec.batch_size):
        x, y = network_input(parts["x_train"][samples]), parts["y_train"][samples]
        state, loss, _ = arm.epoch(state, arm.place(x, y))
        arm.wait(state)
        if n_updates in job.updates:
            found |= add_prefix(f"at-{n_updates}", arm.export(state))
    found |= add_prefix("final", arm.export(state))
    outputs = arm.predict(state, network_input(parts["x_test"]))
    n_updates = arm.facts(state)["n_updates"]
    return found | {
        "outputs": outputs,
        "loss": np.asarray(loss),
        "n_updates": np.asarray(n_updates),
    }


def _stretches(
    order: NDArray[np.int32], updates: Iterable[int], batch_size: int
) -> Iterable[tuple[int, NDArray[np.int32]]]:
    """Yield the count of updates after each stretch of training, and the samples of the stretch.

    A stretch ends at each update asked for, all in the first epoch, and at the end of each epoch.
    """
    n_updates = -(-order.shape[1] // batch_size)  # of an epoch
    begin = 0
    for update in (*(number for number in updates if number < n_updates), n_updates):
        yield update, order[0][begin * batch_size : update * batch_size]
        begin = update
    for index, samples in enumerate(order[1:], start=2):
        yield index * n_updates, samples
