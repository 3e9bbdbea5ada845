"""A process's copy of a model on PyTorch, and its part of each batch."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import keras
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel


def count() -> int:
    """Return how many replicas there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


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


class OwnReplica(Replica):
    """This process's copy of a model of the user's own, trained by its own train_step."""

    def __init__(self, model: Any) -> None:
        """Take a compiled model with all its variables, and take the first one's values."""
        self.model, apply = model, model.optimizer.apply
        self.take()

        def apply_mean(gradients: Any, *rest: Any, **more: Any) -> Any:
            for each in gradients:
                if each is not None:
                    dist.all_reduce(each)
                    each.div_(count())
            return apply(gradients, *rest, **more)

        model.optimizer.apply = apply_mean

    def train(self, data: Any = None, batch_size: int = 0) -> None:
        """Train one epoch of what the first replica is given; add up what the metrics count.

        Args:
            data: a tree of tensors (n, ...).
            batch_size: of a full batch.
        """
        from harness.worker.arms.train_step.batches import length, sizes

        forms = keras.tree.map_structure(_form_of, data)
        forms, batch_size = share_any((forms, batch_size))
        if dist.get_rank():
            data = keras.tree.map_structure(lambda each: torch.empty(**vars(each)), forms)
            self.model.reset_metrics()
        for each in keras.tree.flatten(data):
            dist.broadcast(each, 0)

        self.model.train()
        for start, _, size in sizes(length(data), batch_size):
            end = start + size
            self.model.train_step(keras.tree.map_structure(partial(_part_of, start, end), data))
        self.model.eval()
        for variable in self.model.metrics_variables:
            dist.all_reduce(variable.value.detach())


def _form_of(tensor: Any) -> Any:
    return (
        tensor if tensor is None else SimpleNamespace(size=tuple(tensor.shape), dtype=tensor.dtype)
    )


def share_any(given: Any = None) -> Any:
    """Return what the first replica gives, as pickle has it, in every one."""
    several = [given]
    dist.broadcast_object_list(several, 0)
    return several[0]


def _part(batch: Any) -> Any:
    """Return this replica's part of a batch, (B, ...)."""
    return batch.tensor_split(count())[dist.get_rank()]


def _part_of(start: int, end: int, samples: Any) -> Any:
    return _part(samples[start:end])


def _apart(variable: Any) -> float:
    own = variable.value.detach()
    first = own.clone()
    dist.broadcast(first, 0)
    difference = (own - first).abs().max().to(torch.float64).reshape(1)
    dist.all_reduce(difference, dist.ReduceOp.MAX)
    return float(difference)
