"""One model on several devices, each with a part of each batch: a module for each framework.

The modules have the same functions. prepare(n, device): have so many devices, before the framework
computes; returns what makes this process train on them every model that it builds afterwards.
holders(model): the names of the devices that hold its weights, read back from the weights.
apart(model): by how much the devices' copies of its weights, and of its optimizer's slots, differ
at most, by "weight" and "slot". adopt(model): have each device hold a model of the user's own that
was built here, where building it did not do that.

On a CPU the devices are virtual: parts of one processor, or on PyTorch processes on it. They show
that several devices compute the same numbers, and nothing of how fast those would be.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from harness.errors import Refused

THREADS = 8  # of XLA's pool, for each device of a CPU


def start(framework: str, n_replicas: int, device: str) -> None:
    """Have this process train on several devices from now on, where that is asked for.

    Args:
        framework: that computes here, not imported yet.
        n_replicas: how many devices.
        device: "cpu" takes virtual devices even where there are GPUs.

    Raises:
        Refused: there are not so many.
    """
    if n_replicas > 1:
        prepare(framework, n_replicas, device)()


def prepare(framework: str, n_replicas: int, device: str) -> Callable[[], Any]:
    """Return what has this process train on several devices; until then it trains on one of them.

    Args:
        framework: that computes here, not imported yet.
        n_replicas: how many devices.
        device: "cpu" takes virtual devices even where there are GPUs.

    Raises:
        Refused: there are not so many.
    """
    announce(n_replicas)
    begin: Callable[[], Any] = of(framework).prepare(n_replicas, device)
    return begin


def announce(n_replicas: int) -> None:
    """Say how many devices a framework needs that is imported afterwards."""
    os.environ["JAX_NUM_CPU_DEVICES"] = str(n_replicas)
    # On a CPU a sum over devices holds a thread of XLA's pool until all have come to it: with a
    # thread a core, those of one device alone can hold all.
    os.environ["NPROC"] = str(max(THREADS * n_replicas, os.cpu_count() or 1))


@cache
def own_models() -> list[tuple[Any, Any]]:
    """Return the list of the user's own models that were built here, each with how."""
    return []


def of(framework: str) -> ModuleType:
    """Return the module of a framework."""
    return importlib.import_module(f"{__name__}.{framework}")


def seen(framework: str, model: Any) -> dict[str, Any]:
    """Return what a record keeps of the devices of a model; nothing where there is one.

    Args:
        framework: that computes here.
        model: Keras's, built.
    """
    names = of(framework).holders(model)
    if len(names) < 2:
        return {}
    virtual = all(name.startswith("cpu") for name in names)
    return {
        "replicas": len(names),
        "replica_devices": ", ".join(names),
        "virtual_devices": virtual,
    }


def check(n_replicas: int, known: dict[str, Any]) -> None:
    """Return if as many devices hold the weights as were asked for.

    Args:
        n_replicas: how many those were.
        known: what an arm says of itself.

    Raises:
        Refused: others do, and what was asked for did nothing.
    """
    found = known.get("replicas", 1)
    if found != n_replicas:
        raise Refused(
            f"--replicas {n_replicas}: read back from the weights, {found} "
            f"{'device holds' if found == 1 else 'devices hold'} them: this arm trains on no other"
        )


def enough(n_replicas: int, gpus: list[Any]) -> bool:
    """Say whether to train on GPUs: there are so many, or there are none at all.

    Args:
        n_replicas: how many are needed.
        gpus: those that there are.

    Raises:
        Refused: there are some, and too few.
    """
    if gpus and len(gpus) < n_replicas:
        hint = "--device cpu trains on virtual devices"
        raise Refused(f"--replicas {n_replicas}: here are {len(gpus)} GPUs. {hint}")
    return bool(gpus)
