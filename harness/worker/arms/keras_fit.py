"""The textbook's program: a Keras model, `compile` and `fit`, on whichever backend is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras

from harness.spec.data.arrays import Features, Labels, Weights
from harness.worker import keras_model
from harness.worker.epoch_clock import EpochClock
from harness.worker.facts import framework_of
from harness.worker.keras_model import export, predict, resume, slots, wait

if TYPE_CHECKING:
    from harness.spec.config import Spec

__all__ = ["build", "epoch", "export", "facts", "place", "predict", "resume", "slots", "wait"]

# Of `compile`; what each does on a backend:
# https://keras.io/api/models/model_training_apis
FRAMEWORK = framework_of(keras.backend.backend())
OPTIONS = {"jit_compile": ("auto", True, False), "steps_per_execution": (1, 7, 67, 469)}
REPLICAS = {"jax": (), "tensorflow": ()}


@dataclass(slots=True)
class State:
    """A compiled model, and the count of what its backend compiled since it was built."""

    model: Any
    settings: Any  # of its optimizer
    batch_size: int
    n_compiles: Callable[[], int]
    asked: Mapping[str, Any] = field(default_factory=dict)  # of `compile`
    n_steps: int = 0  # of the last `fit`
    setup_s: float = 0.0  # of the last `fit`: from its call to its epoch's begin
    teardown_s: float = 0.0  # from its epoch's end to its return


@dataclass(frozen=True, slots=True)
class Batches:
    """One epoch's samples in their order; Keras cuts them into batches and moves them itself."""

    x: Any  # (n, features) float32
    y: Any  # (n,) uint8


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return the spec's model with those weights, compiled with the options asked for.

    **Differs**: `steps_per_execution` is the number of updates in one program on TensorFlow and
    JAX; PyTorch raises above 1.

    Args:
        spec: layers, loss form, optimizer, batch size.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: the arm's own.
    """
    asked = {name: getattr(options, name, known[0]) for name, known in OPTIONS.items()}
    model = keras_model.compiled_model(spec, weights, **asked)
    return State(model, spec.optimizer, spec.batch_size, FRAMEWORK.watch_compiles(model), asked)


def place(x: Features, y: Labels) -> Batches:
    """Return the samples, x (n, features) float32 and y (n,) uint8, as `fit` converts them.

    A `fit` of many epochs, the textbook's one call, converts once.
    """
    return Batches(FRAMEWORK.fit_input(x), FRAMEWORK.fit_input(y))


def epoch(state: State, data: Batches) -> tuple[State, float, float]:
    """Train one epoch in order; return the state, mean loss and accuracy as `fit` reports them.

    **Differs**: on TensorFlow `fit` closes its tf.data pipeline after every epoch, and about every
    second time waits there for the thread that tunes it, which wakes 1.27, 2.55 or 5.11 s after the
    epoch began: its pauses double from 10 ms, and a cancellation that comes in one is lost
    (TensorFlow 2.21). A `fit` of many epochs waits as often.
    """
    clock = EpochClock()
    options = {"batch_size": state.batch_size, "shuffle": False, "verbose": 0}
    with clock.around():
        history = state.model.fit(data.x, data.y, callbacks=[clock], **options).history
    state.n_steps = -(-len(data.y) // state.batch_size)
    state.setup_s, state.teardown_s = clock.setup_s, clock.teardown_s
    return state, history["loss"][0], history["accuracy"][0]


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, and what is compiled."""
    model = state.model
    return keras_model.model_facts(state, compiled=bool(model.jit_compile)) | {
        "n_dispatches": -(-state.n_steps // model.steps_per_execution),
        "setup_s": state.setup_s,
        "teardown_s": state.teardown_s,
        "jit_requested": state.asked.get("jit_compile", "auto"),
        "steps_per_execution_requested": state.asked.get("steps_per_execution", 1),
        "steps_per_execution": int(model.steps_per_execution),
        "eager": bool(model.run_eagerly),
    }
