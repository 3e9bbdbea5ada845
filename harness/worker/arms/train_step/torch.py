"""Any Keras model on PyTorch: one update, train_step and all, is one graph.

Keras's own train_step runs once for each shape of batch inside a StatelessScope that maps every
variable to an input, and what it does to tensors is written down (make_fx); inductor compiles that.
Three things are replaced while it is written down: `_foreach_add_` with a tensor as its factor, the
rate of a schedule, which is computed before each update and handed in, and a branch on the count of
updates, for each of whose phases there is a graph. A branch on data is refused.

**Differs**: `fit` draws one number from PyTorch's generator at each epoch's begin and one at its
end (seeds of DataLoaders); the arms draw them too, so that a dropout has `fit`'s masks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import keras
import torch
import torch._inductor.config
from keras.src.backend.torch import core
from torch.fx.experimental import proxy_tensor

from harness.worker import freed_memory, inductor
from harness.worker.arms.train_step.batches import NotOneProgram, refusal
from harness.worker.replicas import torch as replicas

Run = Callable[[Any], None]
Leaves = tuple[torch.Tensor, ...]  # of a batch, a tree of tensors (n, ...)
NEEDS_NUMBER = "Python needs a number there that depends on the data or on a seed's state"


def place(data: Any) -> Any:
    """Return a tree of arrays (n, ...) on the device."""
    return keras.tree.map_structure(keras.ops.convert_to_tensor, data)


def lean(model: Any, data: Any, batch_size: int) -> Run:
    """Return an epoch as a loop over train_step, which PyTorch runs operation by operation.

    Args:
        model: compiled by Keras and built.
        data: a tree of arrays (n, ...), placed.
        batch_size: of a full batch; the last one may be short.
    """
    freed_memory.keep()
    if replicas.count() > 1:
        replicas.adopt(model)
        return lambda data: replicas.everywhere("train", model, data, batch_size)
    as_tree = _trees_like(data)
    return _epoch(model, lambda: lambda batch: model.train_step(as_tree(batch)), batch_size)


def compiled(model: Any, data: Any, batch_size: int) -> Run:
    """Return an epoch as a loop over updates, each of which is one graph.

    Args:
        model: compiled by Keras and built.
        data: a tree of arrays (n, ...), placed.
        batch_size: of a full batch; the last one may be short.
    """
    if fault := inductor.compiler_fault(torch.__file__):
        raise NotOneProgram(f"model {model.name}", fault)
    graphs = Graphs(model, _trees_like(data))
    first, *others = _batches(data, batch_size)
    for batch in (first, *others[-1:]):
        graphs.prepare(batch)
    return _epoch(model, graphs.step, batch_size)


def _epoch(model: Any, make_step: Callable[[], Callable[[Leaves], Any]], batch_size: int) -> Run:
    def run(data: Any) -> None:
        _draw_as_fit()
        model.train()
        step = make_step()
        for batch in _batches(data, batch_size):
            step(batch)
        model.eval()
        _draw_as_fit()

    return run


def _draw_as_fit() -> None:
    """Draw one number from PyTorch's generator, as the iterator of a DataLoader does."""
    torch.empty((), dtype=torch.int64).random_()


def _batches(data: Any, batch_size: int) -> Iterator[Leaves]:
    """Return each batch of a tree of tensors (n, ...), in order; the last one may be short."""
    return zip(*(leaf.split(batch_size) for leaf in keras.tree.flatten(data)), strict=True)


def _trees_like(data: Any) -> Callable[[Leaves], Any]:
    """Return a function that makes a tree like this one of its leaves, and holds none of them."""
    places = keras.tree.map_structure(lambda _: 0, data)
    return lambda leaves: keras.tree.pack_sequence_as(places, leaves)


class Scope(keras.StatelessScope):  # type: ignore[misc, unused-ignore]
    """A scope in which, as outside of one on PyTorch, no gradient goes through an assignment."""

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Take a variable and its new value."""
        variable, value = update
        super().add_update((variable, torch.as_tensor(value).detach()))


class Graphs:
    """The update of a model as graphs: one for each shape of batch and phase of its optimizer."""

    def __init__(self, model: Any, as_tree: Callable[[Leaves], Any]) -> None:
        """Take a compiled and built model, and what makes a batch of its leaves."""
        self.model, self.optimizer, self.as_tree = model, model.optimizer, as_tree
        several = [*model.variables, *self.optimizer.variables, *model.metrics_variables]
        self.variables = list({id(each): each for each in several}.values())
        ema = getattr(self.optimizer, "ema_overwrite_frequency", None) or 1
        self.n_phases = ema * (self.optimizer.gradient_accumulation_steps or 1)
        rate = self.optimizer._learning_rate
        self.schedule = rate if callable(rate) and not isinstance(rate, keras.Variable) else None
        self.graphs: dict[Any, Any] = {}

    def step(self) -> Callable[[Leaves], None]:
        """Return an update with a batch, for one epoch.

        The variables stay where they are while an epoch lasts: updates change them in place.
        """
        held, rate = self._held(), self._rate()

        @torch.no_grad()
        def step(batch: Leaves) -> None:
            self.prepare(batch)(held, batch, self._rate() if self.schedule else rate)

        return step  # type: ignore[no-any-return]

    def prepare(self, batch: Leaves) -> Any:
        """Return the compiled graph for a batch of this shape, made if it is not there."""
        phase = int(self.optimizer._iterations) % self.n_phases if self.n_phases > 1 else 0
        key = len(batch[0]), phase
        if key not in self.graphs:
            keras.config.disable_traceback_filtering()  # it would hide the layer
            try:
                self.graphs[key] = self._compile(batch)
            except Exception as error:
                found = refusal(error, self.model)
                if "_local_scalar_dense" in found.reason:
                    found = NotOneProgram(found.layer, NEEDS_NUMBER)
                raise found from error
            finally:
                keras.config.enable_traceback_filtering()
        return self.graphs[key]

    def _rate(self) -> Any:
        """Return a schedule's rate for this update, 0 where the rate is a variable."""
        rate = self.schedule(self.optimizer._iterations) if self.schedule else 0.0
        return torch.as_tensor(rate, dtype=core.to_torch_dtype(keras.config.floatx()))

    def _held(self) -> list[Any]:
        """Return the variables' own memory, (1,) for a scalar.

        A compiled graph loses what is assigned to a float64 without dimensions (PyTorch 2.13).
        """
        return [each.value.detach().reshape(tuple(each.shape) or 1) for each in self.variables]

    def _compile(self, batch: Leaves) -> Any:
        """Return the graph, which has run once with copies: inductor compiles it then."""

        def copy() -> list[Any]:
            return [each.clone() for each in self._held()]

        def update(held: list[Any], batch: Leaves, rate: Any) -> None:
            self._update(held, self.as_tree(batch), rate)

        with torch.random.fork_rng(), torch.no_grad(), _shims():
            mode = self.model.training
            self.model.train()
            graph = proxy_tensor.make_fx(update)(copy(), batch, self._rate())
            self.model.train(mode)
        options = {"guard_filter_fn": torch.compiler.skip_all_guards_unsafe}
        program = torch.compile(graph, dynamic=False, fullgraph=True, options=options)
        own_numbers = torch._inductor.config.patch(fallback_random=True)  # PyTorch's, not its own
        with torch.random.fork_rng(), torch.no_grad(), own_numbers:
            program(copy(), batch, self._rate())
        return program

    def _update(self, held: list[Any], batch: Any, rate: Any) -> None:
        """Make one update of the tensors held, in place, with a batch, a tree of tensors."""
        trained = {id(variable) for variable in self.model.trainable_variables}
        pairs = list(zip(self.variables, held, strict=True))
        leaves = [
            each.detach().reshape(tuple(own.shape)).requires_grad_(id(own) in trained)
            for own, each in pairs
        ]
        mapping = list(zip(self.variables, leaves, strict=True))
        scope = Scope(state_mapping=mapping, collect_losses=True)
        with torch.enable_grad(), self._replaced(leaves, rate), scope:
            self.model.train_step(batch)
        with torch.no_grad():
            for own, leaf, each in zip(self.variables, leaves, held, strict=True):
                new = scope.get_current_value(own)
                if new is not None and new is not leaf:  # else it was changed in place
                    each.copy_(new.reshape(each.shape))

    @contextmanager
    def _replaced(self, leaves: list[Any], rate: Any) -> Iterator[None]:
        """While an update is traced, clear the leaves' gradients, and take the rate as given."""

        def clear(set_to_none: bool = True) -> None:
            for leaf in leaves:
                leaf.grad = None

        optimizer, n_updates = self.optimizer, itertools.count()
        apply, current_rate = optimizer.apply, optimizer._get_current_learning_rate

        def apply_once(*arguments: Any) -> None:
            if next(n_updates) and self.schedule:
                reason = "its train_step makes several updates, each at its own rate of a schedule"
                raise NotOneProgram(f"model {self.model.name}", reason)
            apply(*arguments)

        def given_rate() -> Any:
            return rate if self.schedule else current_rate()

        patch = mock.patch.object
        with (
            patch(optimizer, "apply", apply_once),
            patch(optimizer, "_get_current_learning_rate", given_rate),
        ):
            object.__setattr__(self.model, "zero_grad", clear)  # no attribute that torch tracks
            try:
                yield
            finally:
                object.__delattr__(self.model, "zero_grad")


@contextmanager
def _shims() -> Iterator[None]:
    """While train_step is written down, add with factors, and branch on the count of updates."""
    add, cond = torch._foreach_add_, core.cond

    def foreach_add(tensors: Any, others: Any, *, alpha: Any = 1) -> None:
        if isinstance(alpha, keras.Variable):
            alpha = alpha.value
        if isinstance(alpha, torch.Tensor):
            others, alpha = torch._foreach_mul(list(others), alpha), 1
        add(tensors, others, alpha=alpha)

    def branch(predicate: Any, true_fn: Any, false_fn: Any) -> Any:
        if not isinstance(predicate, torch.Tensor) or core.get_device() == "meta":
            return cond(predicate, true_fn, false_fn)
        if proxy_tensor.get_innermost_proxy_mode() is None:
            return cond(predicate, true_fn, false_fn)
        if _reads_floats(predicate):
            raise RuntimeError("it branches on the data")
        with proxy_tensor.disable_proxy_modes_tracing():
            chosen = bool(predicate)
        return true_fn() if chosen else false_fn()

    with (
        mock.patch.object(torch, "_foreach_add_", foreach_add),
        mock.patch.object(core, "cond", branch),
    ):
        yield


def _reads_floats(predicate: Any) -> bool:
    """Say whether a traced value depends on any input but counts: single integers."""
    mode = proxy_tensor.get_innermost_proxy_mode()
    slot = proxy_tensor.get_proxy_slot(predicate, mode.tracer, None)
    nodes = [slot.proxy.node] if slot is not None else []
    seen = set(nodes)
    while nodes:
        node = nodes.pop()
        value = node.meta.get("val", node.meta.get("tensor_meta"))
        if node.op == "placeholder" and (
            value.dtype.is_floating_point or math.prod(value.shape) > 1
        ):
            return True
        new = [each for each in node.all_input_nodes if each not in seen]
        seen.update(new)
        nodes.extend(new)
    return False
