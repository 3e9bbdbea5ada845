"""The textbook's program: a Keras model, `compile` and `fit`, on whichever backend is set."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.worker import keras_optimizer
from harness.worker.facts import framework_of

if TYPE_CHECKING:  # the request comes as plain attributes: this environment holds no validation library
    from harness.spec.config import Spec

FRAMEWORK = framework_of(keras.backend.backend())
PREDICT_BATCH = 1000  # divides the 10,000 test images: one shape to compile


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
    setup_s: float = 0.0  # of the last `fit`: from its call to its epoch's begin
    teardown_s: float = 0.0  # from its epoch's end to its return


@dataclass(frozen=True, slots=True)
class Batches:
    """One epoch's samples in their order. Keras cuts them into batches, the last one short, and moves them itself."""

    x: Any  # (n, features) float32
    y: Any  # (n,) uint8


def build(spec: Spec, weights: Mapping[str, NDArray[np.float32]], options: SimpleNamespace) -> State:
    """Return the spec's model, compiled as in the textbook, holding those weights."""
    n_inputs = weights[f"{spec.layers[0].name}/kernel"].shape[0]
    layers = [keras.layers.Dense(layer.units, activation=layer.activation, name=layer.name) for layer in spec.layers]
    model = keras.Sequential([keras.Input((n_inputs,)), *layers])
    for layer in layers:
        layer.kernel.assign(weights[f"{layer.name}/kernel"])
        layer.bias.assign(weights[f"{layer.name}/bias"])
    model.compile(
        optimizer=keras_optimizer.of(spec.optimizer),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=spec.loss_form == "logits"),
        metrics=["accuracy"],
    )
    return State(model, spec.optimizer, spec.batch_size, FRAMEWORK.watch_compiles(model))


def place(x: NDArray[np.float32], y: NDArray[np.uint8]) -> Batches:
    """Return the samples as `fit` holds them after its first look at NumPy's: the textbook's one call converts once."""
    return Batches(FRAMEWORK.held(x), FRAMEWORK.held(y))


def epoch(state: State, data: Batches) -> tuple[State, float, float]:
    """Train one epoch in the order given; return the state, the mean loss and the accuracy as `fit` reports them.

    **Differs**: on TensorFlow `fit` takes its tf.data pipeline down after every epoch, and about every second time waits
    there for the thread that tunes it, which wakes 1.27, 2.55 or 5.11 s after the epoch began: its pauses double from
    10 ms, and a cancellation that comes in one is lost (TensorFlow 2.21). A `fit` of many epochs waits as often.
    """
    clock, called = EpochClock(), time.perf_counter()
    history = state.model.fit(data.x, data.y, batch_size=state.batch_size, shuffle=False, verbose=0, callbacks=[clock]).history
    state.setup_s, state.teardown_s = clock.began - called, time.perf_counter() - clock.ended
    return state, history["loss"][0], history["accuracy"][0]


def predict(state: State, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the model's output for each sample, (n, classes): probabilities or logits, as its last layer has it."""
    return np.asarray(state.model.predict(x, batch_size=PREDICT_BATCH, verbose=0))


def export(state: State) -> dict[str, NDArray[np.float32]]:
    """Return the weights by name, kernels (inputs, units), biases (units,)."""
    return {
        f"{layer.name}/{part}": keras.ops.convert_to_numpy(getattr(layer, part))
        for layer in state.model.layers
        for part in ("kernel", "bias")
    }


def slots(state: State) -> dict[str, NDArray[np.float32]]:
    """Return what the optimizer remembers of each weight: "WEIGHT/SLOT", shaped like the weight."""
    return keras_optimizer.slots(state.model.optimizer, state.settings, export(state)) if state.model.optimizer.built else {}


def resume(state: State, weights: Mapping[str, NDArray[np.float32]], slots: Mapping[str, NDArray[np.float32]], n_updates: int) -> State:
    """Return the state as training had left it after n_updates: those weights, those slots."""
    for layer in state.model.layers:
        layer.kernel.assign(weights[f"{layer.name}/kernel"])
        layer.bias.assign(weights[f"{layer.name}/bias"])
    keras_optimizer.resume(state.model.optimizer, state.settings, state.model.trainable_variables, weights, slots, n_updates)
    return state


def wait(state: State) -> None:
    """Return once the device has finished every update."""
    FRAMEWORK.wait([variable.value for variable in state.model.variables])


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, what was asked of the compiler and what took effect."""
    model = state.model
    return {
        "device": FRAMEWORK.where(model.trainable_variables[0].value),
        "n_parameters": int(sum(np.prod(variable.shape) for variable in model.trainable_variables)),
        "n_updates": int(keras.ops.convert_to_numpy(model.optimizer.iterations)),
        "n_compiles": state.n_compiles(),
        "setup_s": state.setup_s,
        "teardown_s": state.teardown_s,
        "jit_requested": "auto",
        "jit_effective": bool(model.jit_compile),
        "eager": bool(model.run_eagerly),
        "precision": keras.config.dtype_policy().name,
    }
