"""TensorFlow: MirroredStrategy; on a CPU, logical devices of one processor.

Keras divides the loss by the number of replicas, and its optimizer adds up their gradients: the
mean over the batch where each replica has as many samples.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import tensorflow as tf

from harness.worker.replicas import enough


def prepare(n_replicas: int, device: str) -> Callable[[], Any]:
    """Return what mirrors every model built afterwards on so many devices.

    **Differs**: a process can have one such strategy only; a second one fails in its collectives.

    Raises:
        Refused: there are not so many.
    """
    gpus = [] if device == "cpu" else tf.config.list_physical_devices("GPU")
    kind = "GPU" if enough(n_replicas, gpus) else "CPU"
    if kind == "CPU":
        (cpu,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration() for _ in range(n_replicas)]
        tf.config.set_logical_device_configuration(cpu, parts)
    return partial(scope_of, *(f"{kind}:{number}" for number in range(n_replicas)))


@cache
def scope_of(*names: str) -> Any:
    """Return the scope of a strategy for those devices, entered to the end of this process."""
    scope = tf.distribute.MirroredStrategy(names).scope()
    scope.__enter__()
    return scope


def holders(model: Any) -> list[str]:
    """Return the devices that hold every weight of a model."""
    sets = [{copy.device for copy in _copies(each)} for each in model.trainable_variables]
    parts = (name.rsplit(":", 2)[1:] for name in set.intersection(*sets))
    return sorted(f"{kind.lower()}:{number}" for kind, number in parts)


def adopt(model: Any) -> None:
    """Do nothing: every device holds what is built here."""


def apart(model: Any) -> dict[str, float]:
    """Return by how much copies of weights and of slots differ at most between the devices."""
    kinds = {"weight": model.variables, "slot": model.optimizer.variables}
    return {kind: max(map(_apart, several), default=0.0) for kind, several in kinds.items()}


def _apart(variable: Any) -> float:
    first, *others = (np.asarray(tf.convert_to_tensor(copy)) for copy in _copies(variable))
    return max((float(np.abs(first - other).max(initial=0)) for other in others), default=0.0)


def _copies(variable: Any) -> tuple[Any, ...]:
    found: tuple[Any, ...] = tf.distribute.get_strategy().experimental_local_results(variable.value)
    return found


def part_of(start: Any, size: int) -> tuple[Any, int]:
    """Return where this replica's part of a batch begins, and its size.

    Args:
        start: of the batch, among the samples.
        size: of the batch; the number of replicas divides it.
    """
    context = tf.distribute.get_replica_context()
    part = size // context.num_replicas_in_sync
    return start + context.replica_id_in_sync_group * part, part
