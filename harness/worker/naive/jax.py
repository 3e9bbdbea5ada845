"""From scratch on JAX: gradients by value_and_grad, a whole step compiled (jit).

JAX has no variables: weights are arguments of the functions that use them, and an update returns new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from harness.worker.frameworks import jax as framework
from harness.worker.naive.batches import BatchGenerator, check_inputs
from harness.worker.optimizers import Optimizer

if TYPE_CHECKING:
    from harness.spec.config import Spec

ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "linear": lambda z: z,
    "relu": jax.nn.relu,
    "softmax": jax.nn.softmax,
}
EPSILON = 1e-7  # as Keras clips probabilities on JAX and PyTorch


class Settings(SimpleNamespace):
    """An optimizer's settings as a constant of a compiled step: hashed by identity."""

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class NaiveDense:
    """A fully connected layer: activation(x @ W + b), W uniform in [0, 0.1), b zeros."""

    def __init__(
        self,
        input_size: int,
        output_size: int,
        activation: Callable[[Any], Any],
        name: str,
        key: Any,
    ) -> None:
        self.W = jax.random.uniform(key, (input_size, output_size), minval=0, maxval=0.1)  # (I, O)
        self.b = jnp.zeros((output_size,))  # (O,)
        self.activation, self.name = activation, name

    def __call__(self, inputs: Any, weights: Sequence[Any]) -> Any:
        """Return the layer's outputs, (B, O), for inputs (B, I) and its two weights."""
        W, b = weights  # noqa: N806
        check_inputs(self.name, inputs.shape, W.shape)
        return self.activation(jnp.matmul(inputs, W) + b)

    @property
    def weights(self) -> list[Any]:
        """W and b, as drawn."""
        return [self.W, self.b]


class NaiveSequential:
    """Layers, one after another."""

    def __init__(self, layers: Sequence[NaiveDense]) -> None:
        self.layers = layers
        self.weights = [
            weight for layer in layers for weight in layer.weights
        ]  # of all layers, one list; an update puts new ones there

    def __call__(self, inputs: Any, weights: Sequence[Any]) -> Any:
        """Return the last layer's outputs, (B, O), for inputs (B, I) and the weights of all layers."""
        for index, layer in enumerate(self.layers):
            inputs = layer(inputs, weights[2 * index : 2 * index + 2])
        return inputs


def cross_entropy(labels: Any, outputs: Any, loss_form: str) -> Any:
    """Return each sample's loss, (B,), for labels (B,) and outputs (B, O): probabilities, or logits."""
    chosen = jnp.take_along_axis(outputs, labels[:, None], axis=1)[
        :, 0
    ]  # (B,) the output of the right class
    if loss_form == "logits":
        return jax.nn.logsumexp(outputs, axis=1) - chosen
    return -jnp.log(jnp.clip(chosen, EPSILON, 1 - EPSILON))


def update_weights(
    gradients: Sequence[Any], weights: Sequence[Any], optimizer: Optimizer
) -> list[Any]:
    """Take one step of the optimizer: for SGD, w -= learning_rate * gradient. Return the new weights."""
    return optimizer.updated(weights, gradients, jnp.sqrt)


def one_training_step(
    model: NaiveSequential, optimizer: Optimizer, images: Any, labels: Any, loss_form: str
) -> tuple[Any, Any]:
    """Update the model on one batch; return its mean loss and its outputs (B, O), both from before the update."""
    model.weights, optimizer.slots, average_loss, outputs = compiled_step(
        model,
        optimizer.settings,
        model.weights,
        optimizer.slots,
        np.float32(optimizer.step),
        images,
        labels,
        loss_form,
    )
    optimizer.step += 1
    return average_loss, outputs


@partial(jax.jit, static_argnames=("model", "settings", "loss_form"))
def compiled_step(
    model: NaiveSequential,
    settings: Any,
    weights: Any,
    slots: Any,
    step: Any,
    images: Any,
    labels: Any,
    loss_form: str,
) -> tuple[Any, Any, Any, Any]:
    """Return new weights, new slots, mean loss and outputs: the step as a function of its arguments, which JAX can compile."""

    def forward(weights: Any) -> tuple[Any, Any]:
        outputs = model(images, weights)
        return jnp.mean(cross_entropy(labels, outputs, loss_form)), outputs

    (average_loss, outputs), gradients = jax.value_and_grad(forward, has_aux=True)(weights)
    optimizer = Optimizer(settings, slots, step)
    weights = update_weights(gradients, weights, optimizer)
    return weights, optimizer.slots, average_loss, outputs


def fit(
    model: NaiveSequential,
    optimizer: Optimizer,
    images: Any,
    labels: Any,
    *,
    epochs: int,
    batch_size: int = 128,
    loss_form: str = "probs",
    report: Callable[[int, int, float], None] = lambda epoch, batch, loss: None,
) -> tuple[float, float]:
    """Train; report the loss of every hundredth batch; return the last epoch's mean loss and accuracy over its samples."""
    loss_sum, n_correct = 0.0, 0
    for epoch in range(epochs):
        loss_sum, n_correct = 0.0, 0
        generator = BatchGenerator(images, labels, batch_size)
        for batch in range(generator.num_batches):
            images_batch, labels_batch = generator.next()
            loss, outputs = one_training_step(
                model, optimizer, images_batch, labels_batch, loss_form
            )
            loss_sum += loss * len(labels_batch)
            n_correct += jnp.count_nonzero(jnp.argmax(outputs, axis=1) == labels_batch)
            if batch % 100 == 0:
                report(epoch, batch, float(loss))
    return float(loss_sum) / len(images), int(n_correct) / len(images)


@dataclass(frozen=True, slots=True)
class State:
    """A model, its optimizer, and how it is trained."""

    model: NaiveSequential
    optimizer: Optimizer
    batch_size: int
    loss_form: str
    n_compiles: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Samples:
    """One epoch's samples on the device."""

    x: Any  # (n, features) float32
    y: Any  # (n,) int32


def build(
    spec: Spec, weights: Mapping[str, NDArray[np.float32]], options: SimpleNamespace
) -> State:
    """Return the spec's model, holding those weights."""
    sizes = [weights[f"{layer.name}/kernel"].shape for layer in spec.layers]
    keys = jax.random.split(jax.random.key(0), len(sizes))
    layers = [
        NaiveDense(n_inputs, units, ACTIVATIONS[layer.activation], layer.name, key)
        for (n_inputs, units), layer, key in zip(sizes, spec.layers, keys, strict=True)
    ]
    model = NaiveSequential(layers)
    model.weights = [jnp.asarray(given) for given in weights.values()]
    settings = Settings(**vars(spec.optimizer))
    return State(
        model,
        Optimizer.start(settings, model.weights, jnp.zeros_like),
        spec.batch_size,
        spec.loss_form,
        framework.watch_compiles(model),
    )


def place(x: NDArray[np.float32], y: NDArray[np.uint8]) -> Samples:
    """Return the samples as tensors on the device."""
    samples = Samples(jax.device_put(x), jax.device_put(y.astype(np.int32)))
    framework.wait([samples.x, samples.y])
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in the order given; return the state, mean loss and accuracy, each sample before its update."""
    loss, accuracy = fit(
        state.model,
        state.optimizer,
        data.x,
        data.y,
        epochs=1,
        batch_size=state.batch_size,
        loss_form=state.loss_form,
    )
    return state, loss, accuracy


def predict(state: State, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the model's output for each sample, (n, classes)."""
    return np.asarray(state.model(jnp.asarray(x), state.model.weights))


def export(state: State) -> dict[str, NDArray[np.float32]]:
    """Return the weights by name, kernels (inputs, units), biases (units,)."""
    return {
        f"{layer.name}/{part}": np.asarray(state.model.weights[2 * index + offset])
        for index, layer in enumerate(state.model.layers)
        for offset, part in enumerate(("kernel", "bias"))
    }


def slots(state: State) -> dict[str, NDArray[np.float32]]:
    """Return what the optimizer remembers of each weight: "WEIGHT/SLOT", shaped like the weight."""
    return state.optimizer.named_slots(export(state))


def resume(
    state: State,
    weights: Mapping[str, NDArray[np.float32]],
    slots: Mapping[str, NDArray[np.float32]],
    n_updates: int,
) -> State:
    """Return the state as training had left it after n_updates: those weights, those slots."""
    state.model.weights = [jnp.asarray(given) for given in weights.values()]
    state.optimizer.resume(weights, slots, n_updates, jnp.asarray)
    return state


def wait(state: State) -> None:
    """Return once the device has finished every update."""
    framework.wait(state.model.weights)


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows."""
    weights = state.model.weights
    return {
        "device": framework.where(weights[0]),
        "n_parameters": int(sum(np.prod(weight.shape) for weight in weights)),
        "n_updates": state.optimizer.step,
        "n_compiles": state.n_compiles(),
        "jit_requested": True,
        "jit_effective": True,
        "eager": False,
        "precision": "float32",
    }
