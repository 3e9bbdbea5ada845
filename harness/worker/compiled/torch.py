"""The Keras model and optimizer on PyTorch, update by update; there is no program of many updates on PyTorch.

`eager`: a lean loop: forward, loss, gradients, `optimizer.apply`. `compile`: one update, forward to
optimizer, is one graph for torch.compile. Keras's code runs once for each shape of batch, and what
it does to tensors is written down (make_fx): Dynamo, which reads Python, would break its graph at
the gradients. The graph changes the variables in place.

The first epoch pays for that: two graphs, for full batches and the short one. Its seconds depend on
inductor's cache of compiled graphs, which outlives the process (TORCHINDUCTOR_CACHE_DIR, by default
below the system's temporary folder): 3 to 4 s with a warm cache, 15 to 20 s with a cold one, on 2
cores. Which it was stands in the record, as inductor_cache.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from harness.errors import Refused
from harness.inputs.arrays import Features, Labels, Weights
from harness.worker import keras_model
from harness.worker.frameworks import torch as framework
from harness.worker.keras_model import export, predict, resume, slots, wait

if TYPE_CHECKING:
    from harness.spec.config import Spec

__all__ = ["build", "epoch", "export", "facts", "place", "predict", "resume", "slots", "wait"]

OPTIONS = {"mode": ("eager", "compile")}
# glibc hands freed memory back to the system, page by page to be had again, above twice the largest
# block that was mapped and freed, as long as that is below 32 MiB. The gradients and what Keras's
# optimizer needs in each update come and go above it: 400,000 page faults and a quarter of the
# eager loop's seconds an epoch. One block of nearly 32 MiB, come and gone, and it is kept.
KEPT = 2**25 - 2**16
Samples = tuple[torch.Tensor, torch.Tensor]  # on the device: (n, features) float32, (n,) int64
Step = Callable[[Any, Any, Any, Any], None]
"""One update with a batch's images and labels, which adds to the sum of losses and the number right."""


@dataclass(slots=True)
class State:
    """A Keras model, and how it is trained."""

    model: Any
    settings: Any  # of its optimizer
    batch_size: int
    mode: str
    begin: Callable[[], Step]  # asked for at the begin of each epoch
    n_compiles: Callable[[], int]
    n_looked_up: Callable[
        [], tuple[int, int]
    ]  # graphs that were in inductor's cache, and that were not


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return the spec's model as `fit` would have it, holding those weights, and its update in the mode asked for.

    Args:
        spec: layers, loss form, optimizer, batch size.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: the arm's own.

    Raises:
        Refused: there is nothing here to compile with.
    """
    mode = getattr(options, "mode", "eager")
    torch.empty(KEPT, dtype=torch.uint8)  # gone at once: see there
    if mode == "compile":
        _check_compiler()
    model = keras_model.compiled(spec, weights)
    model.optimizer.build(model.trainable_variables)
    begin = (compiled_steps if mode == "compile" else eager_steps)(model)
    return State(
        model,
        spec.optimizer,
        spec.batch_size,
        mode,
        begin,
        framework.watch_compiles(model),
        _watch_cache(),
    )


def eager_steps(model: Any) -> Callable[[], Step]:
    """Return an update as PyTorch does it, operation by operation."""
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
    """Return an update as one compiled graph, made when the first batch of its size comes.

    No guard is asked whether a graph still fits: each is for one size of batch and one learning
    rate, and never sees another.
    """
    known: dict[tuple[int, float], Callable[..., None]] = {}
    options = {"guard_filter_fn": torch.compiler.skip_all_guards_unsafe}

    def begin() -> Step:
        rate = float(model.optimizer.learning_rate)  # once an epoch: on an accelerator this waits
        held = [[variable.value.detach() for variable in several] for several in _variables(model)]

        @torch.no_grad()
        def step(*batch: Any) -> None:
            key = len(batch[1]), rate
            if key not in known:
                graph = make_fx(update_of(model, rate))(
                    *pytree.tree_map(torch.clone, (held, *batch))
                )
                known[key] = torch.compile(graph, dynamic=False, fullgraph=True, options=options)
            known[key](held, *batch)

        return step  # type: ignore[no-any-return]

    return begin


def update_of(model: Any, rate: float) -> Callable[..., None]:
    """Return one update of a Keras model, which changes the values of its variables in place: see `_variables`.

    The learning rate is a constant: plain SGD on PyTorch asks for its number, which nobody knows of
    a tensor while tracing.
    """

    def update(
        held: list[list[Any]], images: Any, labels: Any, loss_sum: Any, n_correct: Any
    ) -> None:
        weights, others, (count, *slots) = held
        leaves = [weight.detach().requires_grad_() for weight in weights]
        with torch.enable_grad():
            outputs, new_others = model.stateless_call(leaves, others, images, training=True)
            loss = model.loss(labels, outputs)
        gradients = torch.autograd.grad(loss, leaves)
        new_weights, (new_count, _, *new_slots) = model.optimizer.stateless_apply(
            [count, rate, *slots], list(gradients), weights
        )
        pairs = zip(
            [*weights, *others, count, *slots],
            [*new_weights, *new_others, new_count, *new_slots],
            strict=True,
        )
        for old, new in pairs:
            if new is not old:  # Keras's optimizers on PyTorch do most of it in place
                old.copy_(new)
        loss_sum += loss.detach() * len(labels)
        n_correct += (outputs.detach().argmax(dim=1) == labels).sum()

    return update


def _variables(model: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Return what training changes: weights, other variables of the layers, the optimizer's count and slots."""
    count, _, *slots = model.optimizer.variables  # in between is the learning rate
    return model.trainable_variables, model.non_trainable_variables, [count, *slots]


def _check_compiler() -> None:
    """Refuse to compile where inductor could not: its code for a CPU, and what starts its kernels elsewhere, is C++."""
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    missing = [] if shutil.which(compiler) else [f"no {compiler}"]
    missing += [] if Path(sysconfig.get_path("include"), "Python.h").is_file() else ["no Python.h"]
    if missing:
        install = (
            "xcode-select --install"
            if sys.platform == "darwin"
            else "apt install g++ python3-dev, or your system's like"
        )
        raise Refused(
            f"torch.compile needs a C++ compiler and Python's headers; here is {' and '.join(missing)}. Type: {install}"
        )


def _watch_cache() -> Callable[[], tuple[int, int]]:
    """Return a function that says how many graphs were in inductor's cache since, and how many were not."""
    from torch._dynamo.utils import counters

    names = ("fxgraph_cache_hit", "fxgraph_cache_miss")
    before = [counters["inductor"][name] for name in names]
    return lambda: (
        counters["inductor"][names[0]] - before[0],
        counters["inductor"][names[1]] - before[1],
    )


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, on the device."""
    samples = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y.astype(np.int64))
    framework.wait(samples)
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in the order given; return the state, mean loss and accuracy.

    Loss and accuracy are of each sample before its update.
    """
    images, labels = data
    loss_sum, n_correct = (
        torch.zeros((), device=images.device),
        torch.zeros((), dtype=torch.int64, device=images.device),
    )
    step = state.begin()
    for batch in zip(images.split(state.batch_size), labels.split(state.batch_size), strict=True):
        step(*batch, loss_sum, n_correct)
    return state, float(loss_sum) / len(labels), int(n_correct) / len(labels)


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, and what is compiled."""
    found, missed = state.n_looked_up()
    cache = (
        {"inductor_cache": "cold" if missed else "warm" if found else None}
        if state.mode == "compile"
        else {}
    )
    return keras_model.known(state.model) | {
        "n_compiles": state.n_compiles(),
        "jit_requested": state.mode == "compile",
        "jit_effective": state.mode == "compile",
        "eager": state.mode == "eager",
        **cache,
    }
