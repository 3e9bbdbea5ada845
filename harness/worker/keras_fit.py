"""The textbook's program: a Keras model, `compile` and `fit`, on whichever backend is set."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras

from harness.inputs.arrays import Features, Labels, Weights
from harness.worker import keras_model
from harness.worker.keras_model import export, predict, resume, slots, wait

if TYPE_CHECKING:
    from harness.spec.config import Spec

__all__ = ["build", "epoch", "export", "facts", "place", "predict", "resume", "slots", "wait"]

# Of `compile`; what each does on a backend is said there:
# https://keras.io/api/models/model_training_apis
OPTIONS = {"jit_compile": ("auto", True, False), "steps_per_execution": (1, 7, 67, 469)}
FRAMEWORK = keras_model.FRAMEWORK


class EpochClock(keras.callbacks.Callback):
    """Notes when `fit` begins and ends its epoch. Epoch hooks only: a batch hook would change how `fit` runs."""

    began = ended = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Read the clock before the first batch."""
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Read the clock after the last update."""
        self.ended = time.perf_counter()


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
    """One epoch's samples in their order. Keras cuts them into batches, the last one short, and moves them itself."""

    x: Any  # (n, features) float32
    y: Any  # (n,) uint8


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return the spec's model, compiled as in the textbook or with the options asked for, holding those weights.

    **Differs**: `steps_per_execution` puts so many updates into one program on TensorFlow and JAX;
    PyTorch raises above 1.

    Args:
        spec: layers, loss form, optimizer, batch size.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: the arm's own.
    """
    asked = {name: getattr(options, name, known[0]) for name, known in OPTIONS.items()}
    model = keras_model.compiled(spec, weights, **asked)
    return State(model, spec.optimizer, spec.batch_size, FRAMEWORK.watch_compiles(model), asked)


def place(x: Features, y: Labels) -> Batches:
    """Return the samples as `fit` holds them after its first look at NumPy's: the textbook's one call converts once."""
    return Batches(FRAMEWORK.held(x), FRAMEWORK.held(y))


def epoch(state: State, data: Batches) -> tuple[State, float, float]:
    """Train one epoch in the order given; return the state, the mean loss and the accuracy as `fit` reports them.

    **Differs**: on TensorFlow `fit` takes its tf.data pipeline down after every epoch, and about
    every second time waits there for the thread that tunes it, which wakes 1.27, 2.55 or 5.11 s
    after the epoch began: its pauses double from 10 ms, and a cancellation that comes in one is
    lost (TensorFlow 2.21). A `fit` of many epochs waits as often.
    """
    clock, called = EpochClock(), time.perf_counter()
    history = state.model.fit(
        data.x, data.y, batch_size=state.batch_size, shuffle=False, verbose=0, callbacks=[clock]
    ).history
    state.n_steps = -(-len(data.y) // state.batch_size)
    state.setup_s, state.teardown_s = clock.began - called, time.perf_counter() - clock.ended
    return state, history["loss"][0], history["accuracy"][0]


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, what was asked of the compiler and what took effect."""
    model = state.model
    return keras_model.known(model) | {
        "n_compiles": state.n_compiles(),
        "n_dispatches": -(-state.n_steps // model.steps_per_execution),
        "setup_s": state.setup_s,
        "teardown_s": state.teardown_s,
        "jit_requested": state.asked.get("jit_compile", "auto"),
        "jit_effective": bool(model.jit_compile),
        "steps_per_execution_requested": state.asked.get("steps_per_execution", 1),
        "steps_per_execution": int(model.steps_per_execution),
        "eager": bool(model.run_eagerly),
    }
