"""One update of the Keras model, eager: every quantity between the batch and the new weights.

The model's own `train_on_batch` makes the update, with `run_eagerly=True`; gradients are read where
they are handed to the optimizer, which holds on every backend. The forward pass is read layer by
layer, in front of each activation too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.spec.data.arrays import Features, Labels, add_prefix, strip_prefix
from harness.worker.arms import keras_fit

if TYPE_CHECKING:
    from harness.spec.config import Spec

Arrays = dict[str, NDArray[Any]]


def steps(spec: Spec, points: Mapping[str, Arrays]) -> Iterable[tuple[str, Arrays]]:
    """Yield (name, quantities of any shape) of one update from each point.

    The quantities are those of `harness.referee.trace`.
    """
    first = next(iter(points.values()))
    state = keras_fit.build(spec, strip_prefix("weight", first), SimpleNamespace())
    state.model.run_eagerly = True
    for name, point in points.items():
        weights, slots = strip_prefix("weight", point), strip_prefix("slot", point)
        state = keras_fit.resume(state, weights, slots, int(point["n_updates"]))
        found = add_prefix("set", keras_fit.export(state) | keras_fit.slots(state))
        found = {key: np.array(value) for key, value in found.items()}
        yield name, found | step(state, list(weights), point["x"], point["y"].astype(np.uint8))


def step(state: keras_fit.State, names: list[str], x: Features, y: Labels) -> Arrays:
    """Make one update, and return its quantities.

    Args:
        state: from which to make it.
        names: of the weights, in the model's order.
        x: (B, features) float32.
        y: (B,) uint8.
    """
    model = state.model
    found, output = _forward(model, x)
    model.loss.reduction, reduction = None, model.loss.reduction
    found["losses"] = _numpy(model.loss(keras.ops.convert_to_tensor(y), output))
    model.loss.reduction = reduction
    model.reset_metrics()
    with _gradients(model.optimizer) as gradients:
        reported = model.train_on_batch(x, y, return_dict=True)
    found |= add_prefix("gradient", dict(zip(names, gradients, strict=True)))
    found["loss"] = np.asarray(reported["loss"], np.float64)
    found["learning_rate"] = _numpy(model.optimizer.learning_rate)
    found["n_updates"] = np.asarray(int(_numpy(model.optimizer.iterations)))
    found |= add_prefix("slot", keras_fit.slots(state))
    return found | add_prefix("weight", keras_fit.export(state))


def _forward(model: Any, x: Features) -> tuple[Arrays, Any]:
    """Return z and a of each layer, and the model's output as the last layer made it.

    **Differs**: on TensorFlow the loss goes back from that very tensor to the logits, so it must
    not be a copy.
    """
    found: Arrays = {}
    output = keras.ops.convert_to_tensor(x)
    for layer in model.layers:
        z = keras.ops.matmul(output, layer.kernel) + layer.bias
        found[f"{layer.name}/z"] = _numpy(z)
        output = layer(output)
        if layer.activation is not keras.activations.linear:
            found[f"{layer.name}/a"] = _numpy(output)
    return found, output


@contextmanager
def _gradients(optimizer: Any) -> Iterator[list[NDArray[Any]]]:
    """Read gradients where they are handed to the optimizer."""
    found: list[NDArray[Any]] = []
    apply = optimizer.apply

    def read_and_apply(gradients: Any, *rest: Any, **more: Any) -> Any:
        found.extend(_numpy(gradient) for gradient in gradients)
        return apply(gradients, *rest, **more)

    optimizer.apply = read_and_apply
    try:
        yield found
    finally:
        optimizer.apply = apply


def _numpy(tensor: Any) -> NDArray[Any]:
    return np.array(keras.ops.convert_to_numpy(tensor))
