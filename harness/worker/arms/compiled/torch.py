"""The Keras model and optimizer on PyTorch, update by update.

There is no program of many updates on PyTorch.

`eager`: a lean loop: forward, loss, gradients, `optimizer.apply`. `compile`: one update, forward to
optimizer, is one graph for torch.compile. Keras's code runs once for each shape of batch, and what
it does to tensors is written down (make_fx): Dynamo, which reads Python, would break its graph at
the gradients. The graph changes the variables in place.

The first epoch pays for that: two graphs, for full batches and the short one. Its seconds depend on
inductor's cache of compiled graphs, which outlives the process (TORCHINDUCTOR_CACHE_DIR, by default
in the harness's cache folder): 3 to 4 s with a warm cache, 15 to 20 s with a cold one, on 2 cores.
The record says which it was, as inductor_cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from harness.errors import Refused
from harness.spec.data.arrays import Features, Labels, Weights
from harness.worker import freed_memory, inductor, keras_model
from harness.worker.frameworks import torch as framework
from harness.worker.keras_model import export, predict, slots, wait
from harness.worker.replicas import torch as replicas

if TYPE_CHECKING:
    from harness.spec.config import Spec

__all__ = ["build", "epoch", "export", "facts", "place", "predict", "resume", "slots", "wait"]

OPTIONS = {"mode": ("eager", "compile")}
REPLICAS = {"torch": ("mode=eager",)}
Samples = tuple[torch.Tensor, torch.Tensor]  # on the device: (n, features) float32, (n,) int64
Step = Callable[[Any, Any, Any, Any], None]
"""One update with images and labels, which adds to the sum of losses and the number right."""


@dataclass(slots=True)
class State:
    """A Keras model, and how it is trained."""

    model: Any
    settings: Any  # of its optimizer
    batch_size: int
    mode: str
    make_step: Callable[[], Step]  # at the start of each epoch
    n_compiles: Callable[[], int]
    n_cache_lookups: Callable[[], tuple[int, int]]  # graphs that inductor's cache had, and had not
    n_samples: list[int] = field(default_factory=list)  # of each of several replicas, of an epoch


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return the spec's model with those weights, as `fit` has it, and its update.

    Args:
        spec: layers, loss form, optimizer, batch size.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: the arm's own.

    Raises:
        Refused: this system has no C++ compiler that inductor can call.
    """
    mode = getattr(options, "mode", "eager")
    freed_memory.keep()
    if mode == "compile" and (fault := inductor.compiler_fault(torch.__file__)):
        raise Refused(fault)
    model = keras_model.compiled_model(spec, weights)
    model.optimizer.build(model.trainable_variables)
    if replicas.count() > 1:
        replicas.add(spec, model)
    make_step = (compiled_steps if mode == "compile" else eager_steps)(model)
    counts = framework.watch_compiles(model), _watch_cache()
    return State(model, spec.optimizer, spec.batch_size, mode, make_step, *counts)


def zeros_model(spec: Spec, n_inputs: int) -> Any:
    """Return the spec's model for so many inputs, all weights zeros, its optimizer built."""
    sizes = [n_inputs, *(layer.units for layer in spec.layers)]
    weights: Weights = {}
    for layer, n_in in zip(spec.layers, sizes, strict=False):
        weights[f"{layer.name}/kernel"] = np.zeros((n_in, layer.units), np.float32)
        weights[f"{layer.name}/bias"] = np.zeros(layer.units, np.float32)
    model = keras_model.compiled_model(spec, weights)
    model.optimizer.build(model.trainable_variables)
    return model


def resume(state: State, weights: Weights, slots: Weights, n_updates: int) -> State:
    """Return the state as training left it after `n_updates`, on every replica.

    Args:
        state: of the same model.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        slots: "WEIGHT/SLOT", float32, each of its weight's shape.
        n_updates: how many updates made them.
    """
    state = keras_model.resume(state, weights, slots, n_updates)
    if replicas.count() > 1:
        replicas.everywhere("take", state.model)
    return state


def eager_steps(model: Any) -> Callable[[], Step]:
    """Return a function that returns an update, which PyTorch runs operation by operation."""
    variables = model.trainable_variables
    weights = [variable.value for variable in variables]

    def step(images: Any, labels: Any, loss_sum: Any, n_correct: Any) -> None:
        outputs = model(images, training=True)
        loss = model.loss(labels, outputs)
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            model.optimizer.apply(list(gradients), variables)
            loss_sum += loss * len(labels)
            n_correct += (outputs.argmax(dim=1) == labels).sum()

    return lambda: step


def compiled_steps(model: Any) -> Callable[[], Step]:
    """Return a function that returns an update: a graph, compiled for the first batch of its size.

    Guards are switched off: each graph is for one size of batch and one learning rate, and is never
    given another.
    """
    known: dict[tuple[int, float], Callable[..., None]] = {}
    options = {"guard_filter_fn": torch.compiler.skip_all_guards_unsafe}

    def make_step() -> Step:
        rate = float(model.optimizer.learning_rate)  # once an epoch: on an accelerator this waits
        own = pytree.tree_map(lambda variable: variable.value.detach(), _variables(model))

        @torch.no_grad()
        def step(*batch: Any) -> None:
            key = len(batch[1]), rate
            if key not in known:
                copies = pytree.tree_map(torch.clone, (own, *batch))
                graph = make_fx(in_place_update(model, rate))(*copies)
                known[key] = torch.compile(graph, dynamic=False, fullgraph=True, options=options)
            known[key](own, *batch)

        return step  # type: ignore[no-any-return]

    return make_step


def in_place_update(model: Any, rate: float) -> Callable[..., None]:
    """Return one update of a Keras model, which changes the values of its `_variables` in place.

    The learning rate is a constant: plain SGD on PyTorch needs its value, which a tensor does not
    have while it is traced.
    """

    def update(own: Any, images: Any, labels: Any, loss_sum: Any, n_correct: Any) -> None:
        weights, others, (count, *slots) = own
        leaves = [weight.detach().requires_grad_() for weight in weights]
        with torch.enable_grad():
            outputs, new_others = model.stateless_call(leaves, others, images, training=True)
            loss = model.loss(labels, outputs)
        gradients = torch.autograd.grad(loss, leaves)
        state = [count, rate, *slots]
        applied = model.optimizer.stateless_apply(state, list(gradients), weights)
        new_weights, (new_count, _, *new_slots) = applied
        old_values = [*weights, *others, count, *slots]
        new_values = [*new_weights, *new_others, new_count, *new_slots]
        for old, new in zip(old_values, new_values, strict=True):
            if new is not old:  # Keras's optimizers on PyTorch do most of it in place
                old.copy_(new)
        loss_sum += loss.detach() * len(labels)
        n_correct += (outputs.detach().argmax(dim=1) == labels).sum()

    return update


def _variables(model: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Return what training changes: weights, the layers' other variables, count and slots."""
    count, _, *slots = model.optimizer.variables  # in between is the learning rate
    return model.trainable_variables, model.non_trainable_variables, [count, *slots]


def _watch_cache() -> Callable[[], tuple[int, int]]:
    """Return a function: how many graphs inductor's cache has had since, and has not had."""
    from torch._dynamo.utils import counters

    def count() -> tuple[int, int]:
        known = counters["inductor"]
        return known["fxgraph_cache_hit"], known["fxgraph_cache_miss"]

    hits, misses = count()
    return lambda: (count()[0] - hits, count()[1] - misses)


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, on the device."""
    samples = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y.astype(np.int64))
    framework.wait(samples)
    if replicas.count() > 1:
        replicas.share(*samples)
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in order; return the state, mean loss and accuracy before each update."""
    images, labels = data
    if replicas.count() > 1:
        loss, n_right, state.n_samples = replicas.everywhere("epoch", state.model, images, labels)
        return state, loss / len(labels), n_right / len(labels)
    loss_sum = torch.zeros((), device=images.device)
    n_correct = torch.zeros((), dtype=torch.int64, device=images.device)
    step = state.make_step()
    for batch in zip(images.split(state.batch_size), labels.split(state.batch_size), strict=True):
        step(*batch, loss_sum, n_correct)
    return state, float(loss_sum) / len(labels), int(n_correct) / len(labels)


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, and what is compiled."""
    compiled = state.mode == "compile"
    found = keras_model.model_facts(state, compiled=compiled)
    n_hits, n_misses = state.n_cache_lookups()
    if state.n_samples:
        found["replica_samples"] = ", ".join(map(str, state.n_samples))
    if compiled:
        found["inductor_cache"] = "cold" if n_misses else "warm" if n_hits else None
    return found
