"""PyTorch: DistributedDataParallel, a process for each device, over gloo on a CPU.

The worker is the first one. It starts the others in its own group of processes, tells each on its
standard input what to do next, and does the same: build a model, take what the first one holds,
train an epoch. Each derives the sum over its part of a batch, divided by its part of the mean, so
that DDP's mean of these is the mean over the batch, however that is divided.

A model of the user's own is built again in each process, and trains there by its own train_step;
the mean of the gradients is what its optimizer is given.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import keras
import torch
import torch.distributed as dist

from harness.errors import Refused
from harness.job.wire import namespace
from harness.worker.ranks.torch import OwnReplica, Replica, count, share_any
from harness.worker.replicas import own_models, processes
from harness.worker.replicas.processes import explained, tell

__all__ = ["add", "adopt", "apart", "count", "everywhere", "holders", "prepare", "share"]


def prepare(n_replicas: int, device: str) -> Callable[[], None]:
    """Start a process for each other replica; return what does nothing more.

    Raises:
        Refused: there are GPUs, or one of the processes ended or does not answer.
    """
    if device != "cpu" and torch.accelerator.is_available():
        raise Refused(f"--replicas {n_replicas}: on PyTorch on a CPU only. Type: --device cpu")
    meeting = str(Path(tempfile.mkdtemp(), "meeting"))
    with explained():
        processes.start("harness.worker.replicas.torch", n_replicas, meeting)
        join(0, n_replicas, meeting)
    return lambda: None


def join(rank: int, n_replicas: int, meeting: str) -> None:
    """Take part in the group that meets at a file; share the cores between its processes.

    Args:
        rank: this process's number, 0 of the worker.
        n_replicas: of the group.
        meeting: the file.
    """
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # nobody else's machine can reach it
    limit = timedelta(seconds=processes.LIMIT_S)
    where = {"init_method": f"file://{meeting}", "rank": rank, "world_size": n_replicas}
    dist.init_process_group("gloo", timeout=limit, **where)
    torch.set_num_threads(max(1, torch.get_num_threads() // n_replicas))


@cache
def made() -> list[Replica]:
    """Return the list of the models that were built here, in their order."""
    return []


def add(spec: Any, model: Any) -> Replica:
    """Return the worker's copy of a model, which every other replica builds from its spec.

    Args:
        spec: of the model.
        model: compiled by Keras, its optimizer built.
    """
    n_inputs = int(model.trainable_variables[0].shape[0])
    with explained():
        tell("build", spec=spec, n_inputs=n_inputs)
        made().append(Replica(model, spec.batch_size))
    return made()[-1]


def adopt(model: Any) -> None:
    """Have every other replica build a model of the user's own that was built here."""
    if count() == 1 or any(each.model is model for each in made()):
        return
    with explained():
        tell("adopt")
        share_any(next(how for known, how in own_models() if known is model))
        processes.await_others("it did not build the model")
        made().append(OwnReplica(model))


def share(images: Any, labels: Any) -> None:
    """Give every other replica an epoch's samples.

    Args:
        images: (n, features).
        labels: (n,).
    """
    with explained():
        tell("place", shape=list(images.shape))
        for each in (images, labels):
            dist.broadcast(each, 0)


def everywhere(verb: str, model: Any, *given: Any) -> Any:
    """Return what the worker's copy of a model does, while every other replica does the same.

    Args:
        verb: a method of `Replica`.
        model: of `add`.
        given: what the method takes here: images (n, features) and labels (n,).
    """
    number = next(n for n, each in enumerate(made()) if each.model is model)
    with explained():
        tell(verb, model=number)
        return getattr(made()[number], verb)(*given)


def holders(model: Any) -> list[str]:
    """Return the devices that hold every weight of a model."""
    if not any(each.model is model for each in made()):
        return [str(model.trainable_variables[0].value.device)]
    return [f"cpu: process {rank}" for rank in range(count())]


def apart(model: Any) -> dict[str, float]:
    """Return by how much copies of weights and of slots differ at most between the devices."""
    found: dict[str, float] = everywhere("apart", model)
    return found


def serve(rank: int, n_replicas: int, meeting: str) -> None:
    """Do what the worker tells this replica, until it ends.

    Args:
        rank: this replica's number, from 1.
        n_replicas: of the group.
        meeting: the file where it meets.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it ends with the worker
    answers = os.dup(1)
    os.dup2(2, 1)  # what a user's code prints is no answer
    from harness.worker.arms.compiled import torch as arm

    os.write(answers, processes.READY)
    join(rank, n_replicas, meeting)
    samples: tuple[Any, ...] = ()
    for line in sys.stdin:
        asked = namespace(json.loads(line))
        if asked.do == "build":
            made().append(
                Replica(arm.zeros_model(asked.spec, asked.n_inputs), asked.spec.batch_size)
            )
        elif asked.do == "place":
            n, n_features = asked.shape
            samples = torch.empty(n, n_features), torch.empty(n, dtype=torch.int64)
            for each in samples:
                dist.broadcast(each, 0)
        elif asked.do == "adopt":
            model = _build_again(share_any())
            os.write(answers, processes.READY)
            made().append(OwnReplica(model))
        else:
            getattr(made()[asked.model], asked.do)(*(samples if asked.do == "epoch" else ()))


def _build_again(how: Any) -> Any:
    """Return a model of the user's own, built as the first replica has built it."""
    from harness.worker.float64 import compute_in_float64
    from harness.worker.jobs.own_model import build_for

    source, seed, floatx, batch = how
    if floatx != keras.config.floatx():
        compute_in_float64()
    return build_for(source, seed, batch)


if __name__ == "__main__":
    # Of the module that arms import, not of __main__: what is cached is there once.
    own = importlib.import_module("harness.worker.replicas.torch")
    own.serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
