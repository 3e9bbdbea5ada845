"""PyTorch: DistributedDataParallel, a process for each device, over gloo on a CPU.

The worker is the first one. It starts the others in its own group of processes, tells each on its
standard input what to do next, and does the same: build a model, take what the first one holds,
train an epoch. Each derives the sum over its part of a batch, divided by its part of the mean, so
that DDP's mean of these is the mean over the batch, however that is divided.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from harness.errors import Refused
from harness.job.wire import namespace, plain

LIMIT_S = 20.0  # for one message between processes; where one has ended, the others know at once
READY = b"ready\n"
Build = Callable[[Any, int], Any]
"""A model of a spec and a number of inputs, compiled by Keras."""


def start(n_replicas: int, device: str) -> None:
    """Start a process for each other replica, once they can hear each other.

    Raises:
        Refused: there are GPUs, or one of the processes ended.
    """
    if device != "cpu" and torch.accelerator.is_available():
        raise Refused(f"--replicas {n_replicas}: on PyTorch on a CPU only. Type: --device cpu")
    started = others(n_replicas)
    with explained():
        for rank, each in enumerate(started, start=1):
            if each.stdout is None or each.stdout.readline() != READY:
                raise Refused(f"replica {rank} of {n_replicas}: its process did not start")
        join(0, n_replicas, str(each.args[-1]))  # type: ignore[index]


@cache
def others(n_replicas: int) -> tuple[subprocess.Popen[bytes], ...]:
    """Return the processes of the other replicas, the same at each call."""
    meeting = str(Path(tempfile.mkdtemp(), "meeting"))
    command = [sys.executable, "-m", "harness.worker.replicas.torch"]
    return tuple(
        subprocess.Popen(
            [*command, str(rank), str(n_replicas), meeting],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for rank in range(1, n_replicas)
    )


def join(rank: int, n_replicas: int, meeting: str) -> None:
    """Take part in the group that meets at a file; share the cores between its processes.

    Args:
        rank: this process's number, 0 of the worker.
        n_replicas: of the group.
        meeting: the file.
    """
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # nobody else's machine can reach it
    limit = timedelta(seconds=LIMIT_S)
    where = {"init_method": f"file://{meeting}", "rank": rank, "world_size": n_replicas}
    dist.init_process_group("gloo", timeout=limit, **where)
    torch.set_num_threads(max(1, torch.get_num_threads() // n_replicas))


def count() -> int:
    """Return how many replicas there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def tell(verb: str, **more: Any) -> None:
    """Have every other replica do something, which the caller does at the same time."""
    if count() > 1:
        line = json.dumps({"do": verb, **more}, default=_plain).encode() + b"\n"
        for each in others(count()):
            if each.stdin:
                each.stdin.write(line)
                each.stdin.flush()


def _plain(value: Any) -> Any:
    return vars(value) if hasattr(value, "__dict__") else plain(value)


@contextmanager
def explained() -> Iterator[None]:
    """Turn the end of another replica into a sentence.

    Raises:
        Refused: one has ended, or did not answer in time.
    """
    try:
        yield
    except (RuntimeError, OSError) as error:
        for rank, each in enumerate(others(count()), start=1) if count() > 1 else ():
            try:
                status = each.wait(5.0)
            except subprocess.TimeoutExpired:
                continue
            how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
            why = "the others cannot go on without it"
            raise Refused(f"replica {rank} of {count()} ended {how}: {why}") from None
        reason = str(error).strip().splitlines()[0][:160]
        raise Refused(f"the replicas do not hear each other: {reason}") from None


class Replica:
    """This process's copy of a model, as DDP trains it; made in every process at the same time."""

    def __init__(self, model: Any, batch_size: int) -> None:
        """Take a compiled model with its optimizer's variables, and take the first one's values."""
        self.model, self.batch_size = model, batch_size
        self.take()
        self.parallel = DistributedDataParallel(model)
        self.n_samples = 0  # that this replica trained on in the last epoch

    def take(self) -> None:
        """Take the first replica's weights and slots."""
        for variable in [*self.model.variables, *self.model.optimizer.variables]:
            dist.broadcast(variable.value.detach(), 0)

    def step(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """Make one update; return the sum of losses and the number right of this replica's part.

        Args:
            images: of the whole batch, (B, features).
            labels: (B,).
        """
        own_images, own_labels = (_part(each) for each in (images, labels))
        outputs = self.parallel(own_images, training=True)
        loss = self.model.loss(own_labels, outputs) * len(own_labels)  # their sum
        self.model.zero_grad()
        (loss * count() / len(labels)).backward()
        variables = self.model.trainable_variables
        with torch.no_grad():
            self.model.optimizer.apply([each.value.grad for each in variables], variables)
        self.n_samples += len(own_labels)
        return loss.detach(), (outputs.detach().argmax(dim=1) == own_labels).sum()

    def epoch(self, images: Any, labels: Any) -> tuple[float, int, list[int]]:
        """Train one epoch; return loss, number right, and how many samples each replica had.

        Args:
            images: (n, features).
            labels: (n,).
        """
        self.n_samples, sums = 0, torch.zeros(2 + count(), dtype=torch.float64)
        batches = images.split(self.batch_size), labels.split(self.batch_size)
        for batch in zip(*batches, strict=True):
            loss, n_right = self.step(*batch)
            sums[0] += loss
            sums[1] += n_right
        sums[2 + dist.get_rank()] = self.n_samples
        dist.all_reduce(sums)
        return float(sums[0]), int(sums[1]), [int(each) for each in sums[2:]]

    def apart(self) -> dict[str, float]:
        """Return by how much copies of weights and of slots differ at most between replicas."""
        kinds = {"weight": self.model.variables, "slot": self.model.optimizer.variables}
        return {kind: max(map(_apart, several), default=0.0) for kind, several in kinds.items()}


def _part(batch: Any) -> Any:
    """Return this replica's part of a batch, (B, ...)."""
    return batch.tensor_split(count())[dist.get_rank()]


def _apart(variable: Any) -> float:
    own = variable.value.detach()
    first = own.clone()
    dist.broadcast(first, 0)
    difference = (own - first).abs().max().to(torch.float64).reshape(1)
    dist.all_reduce(difference, dist.ReduceOp.MAX)
    return float(difference)


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
    from harness.worker.arms.compiled import torch as arm

    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
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
        else:
            getattr(made()[asked.model], asked.do)(*(samples if asked.do == "epoch" else ()))


if __name__ == "__main__":
    # Of the module that arms import, not of __main__: what is cached is there once.
    own = importlib.import_module("harness.worker.replicas.torch")
    own.serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
