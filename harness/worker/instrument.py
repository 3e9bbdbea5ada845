"""One update of the Keras model, eager and laid open: every quantity between the batch and the new weights.

The model's own `train_on_batch` makes the update, with `run_eagerly=True`; gradients are read where
they are handed to the optimizer, which holds on every backend. The forward pass is read layer by
layer, in front of each activation too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.worker import keras_fit

if TYPE_CHECKING:
    from harness.spec.config import Spec

Arrays = dict[str, NDArray[Any]]


def steps(
    spec: Spec, points: Mapping[str, Mapping[str, NDArray[Any]]]
) -> Iterable[tuple[str, Arrays]]:
    """Yield (name, quantities) of one update from each point: see `harness.judge.parity.trace`."""
    weights = {
        key.removeprefix("weight/"): value
        for key, value in next(iter(points.values())).items()
        if key.startswith("weight/")
    }
    state = keras_fit.build(spec, weights, SimpleNamespace())
    state.model.run_eagerly = True
    for name, point in points.items():
        weights = {
            key.removeprefix("weight/"): value
            for key, value in point.items()
            if key.startswith("weight/")
        }
        slots = {
            key.removeprefix("slot/"): value
            for key, value in point.items()
            if key.startswith("slot/")
        }
        state = keras_fit.resume(state, weights, slots, int(point["n_updates"]))
        found = {
            f"set/{key}": np.array(value)
            for key, value in {**keras_fit.export(state), **keras_fit.slots(state)}.items()
        }
        yield name, found | step(state, list(weights), point["x"], point["y"].astype(np.uint8))


def step(
    state: keras_fit.State, names: list[str], x: NDArray[np.float32], y: NDArray[np.uint8]
) -> Arrays:
    """Return every quantity of one update, and make it."""
    model = state.model
    found, output = _forward(model, x)
    model.loss.reduction, reduction = None, model.loss.reduction
    found["losses"] = _numpy(model.loss(keras.ops.convert_to_tensor(y), output))
    model.loss.reduction = reduction
    model.reset_metrics()
    with _gradients(model.optimizer) as seen:
        reported = model.train_on_batch(x, y, return_dict=True)
    found |= {f"gradient/{name}": gradient for name, gradient in zip(names, seen, strict=True)}
    found |= {
        "loss": np.asarray(reported["loss"], np.float64),
        "learning_rate": _numpy(model.optimizer.learning_rate),
    }
    found["n_updates"] = np.asarray(int(_numpy(model.optimizer.iterations)))
    found |= {f"slot/{name}": value for name, value in keras_fit.slots(state).items()}
    return found | {f"weight/{name}": value for name, value in keras_fit.export(state).items()}


def _forward(model: Any, x: NDArray[np.float32]) -> tuple[Arrays, Any]:
    """Return z and a of each layer, and the model's output as the last layer made it.

    **Differs**: on TensorFlow the loss looks through that very tensor to the logits, so it must not
    be a copy.
    """
    found: Arrays = {}
    passed = keras.ops.convert_to_tensor(x)
    for layer in model.layers:
        z = keras.ops.matmul(passed, layer.kernel) + layer.bias
        found[f"{layer.name}/z"] = _numpy(z)
        passed = layer(passed)
        if layer.activation is not keras.activations.linear:
            found[f"{layer.name}/a"] = _numpy(passed)
    return found, passed


@contextmanager
def _gradients(optimizer: Any) -> Any:
    """Read gradients where they are handed to the optimizer."""
    seen: list[NDArray[Any]] = []
    apply = optimizer.apply

    def tapped(gradients: Any, *rest: Any, **more: Any) -> Any:
        seen.extend(_numpy(gradient) for gradient in gradients)
        return apply(gradients, *rest, **more)

    optimizer.apply = tapped
    try:
        yield seen
    finally:
        optimizer.apply = apply


def _numpy(tensor: Any) -> NDArray[Any]:
    return np.array(keras.ops.convert_to_numpy(tensor))
