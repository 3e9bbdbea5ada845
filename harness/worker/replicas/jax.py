"""JAX: a mesh of devices over which Keras's DataParallel lays batches; weights are on each.

XLA divides the work: what it computes is the mean over the whole batch, on however many devices.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import keras
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from keras.src.backend.jax import distribution_lib

from harness.errors import Refused
from harness.worker.replicas import enough


def prepare(n_replicas: int, device: str) -> Callable[[], None]:
    """Return what lays every model built afterwards on so many devices.

    Each batch that `fit` gives them then is checked to be divided.

    Raises:
        Refused: there are not so many.
    """
    gpus = [] if device == "cpu" else [each for each in jax.devices() if each.platform != "cpu"]
    there = gpus if enough(n_replicas, gpus) else jax.devices("cpu")
    return partial(_start, [f"{each.platform}:{each.id}" for each in there[:n_replicas]])


def _start(names: list[str]) -> None:
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=names))
    lay = distribution_lib.distribute_data_input

    def lay_and_check(batch: Any, layout: Any, **more: Any) -> Any:
        array = lay(batch, layout, **more)
        part = array.sharding.shard_shape(array.shape)[0]
        if part * len(names) != len(array):
            raise Refused(f"a device was given {part} of {len(array)} samples: it is no part of it")
        return array

    distribution_lib.distribute_data_input = lay_and_check


def holders(model: Any) -> list[str]:
    """Return the devices that hold every weight of a model."""
    sets = [variable.value.sharding.device_set for variable in model.trainable_variables]
    shared = set.intersection(*map(set, sets))
    return sorted(f"{each.platform}:{each.id}" for each in shared)


def adopt(model: Any) -> None:
    """Do nothing: every device holds what is built here."""


def apart(model: Any) -> dict[str, float]:
    """Return by how much copies of weights and of slots differ at most between the devices."""
    kinds = {"weight": model.variables, "slot": model.optimizer.variables}
    return {kind: max(map(_apart, several), default=0.0) for kind, several in kinds.items()}


def _apart(variable: Any) -> float:
    first, *others = (np.asarray(shard.data) for shard in variable.value.addressable_shards)
    if any(other.shape != first.shape for other in others):
        return float("inf")  # a part of it each
    return max((float(np.abs(first - other).max(initial=0)) for other in others), default=0.0)


def everywhere() -> Any:
    """Return where arrays lie that every device has whole; None for one device."""
    return _laid(PartitionSpec())


def divide(batch: Any) -> Any:
    """Return a batch, a tree of arrays (n, ...) that is being traced, of which each has a part."""
    return _constrained(batch, _laid(PartitionSpec("batch")))


def unite(state: Any) -> Any:
    """Return a tree of arrays of any shape that is being traced, which every device has whole."""
    return _constrained(state, everywhere())


def _constrained(tree: Any, sharding: Any) -> Any:
    return jax.lax.with_sharding_constraint(tree, sharding) if sharding else tree


def _laid(spec: PartitionSpec) -> Any:
    distribution = keras.distribution.distribution()
    if distribution is None:
        return None
    return NamedSharding(distribution.device_mesh.backend_mesh, spec)
