"""From scratch on JAX: gradients by value_and_grad, a whole step compiled (jit).

JAX has no variables: weights are arguments of the functions that use them, and an update returns
new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from harness.spec.data.arrays import Features, Labels, Weights
from harness.worker.arms.naive.arm import Samples, State, export, facts, resume, slots, wait
from harness.worker.arms.naive.batches import BatchGenerator, check_inputs
from harness.worker.frameworks import jax as framework
from harness.worker.optimizers import Optimizer

if TYPE_CHECKING:
    from harness.spec.config import Spec

__all__ = ["build", "epoch", "export", "facts", "place", "predict", "resume", "slots", "wait"]

Activation = Callable[[Any], Any]
ACTIVATIONS: Mapping[str, Activation] = {
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
        self, input_size: int, output_size: int, activation: Activation, name: str, key: Any
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
        # of all layers, one list; an update puts new ones there
        self.weights = [weight for layer in layers for weight in layer.weights]

    def __call__(self, inputs: Any, weights: Sequence[Any]) -> Any:
        """Return the last layer's outputs, (B, O), for inputs (B, I) and all layers' weights."""
        for index, layer in enumerate(self.layers):
            inputs = layer(inputs, weights[2 * index : 2 * index + 2])
        return inputs


def cross_entropy(labels: Any, outputs: Any, loss_form: str) -> Any:
    """Return each sample's loss, (B,) float32.

    Args:
        labels: (B,) integers.
        outputs: (B, O) float32.
        loss_form: what the outputs are: "probs" or "logits".
    """
    chosen = jnp.take_along_axis(outputs, labels[:, None], axis=1)[:, 0]  # (B,) of the right class
    if loss_form == "logits":
        return jax.nn.logsumexp(outputs, axis=1) - chosen
    return -jnp.log(jnp.clip(chosen, EPSILON, 1 - EPSILON))


def update_weights(
    gradients: Sequence[Any], weights: Sequence[Any], optimizer: Optimizer
) -> list[Any]:
    """Return the weights after one step of the optimizer: for SGD, w -= learning_rate * gradient.

    Args:
        gradients: one for each weight, of its shape.
        weights: float32: kernels (I, O), biases (O,).
        optimizer: its slots are updated too.
    """
    return optimizer.update(weights, gradients, jnp.sqrt)


def one_training_step(
    model: NaiveSequential, optimizer: Optimizer, images: Any, labels: Any, loss_form: str
) -> tuple[Any, Any]:
    """Update the model on one batch; return its mean loss and outputs (B, O) before the update.

    Args:
        model: what is trained.
        optimizer: its own.
        images: (B, features) float32.
        labels: (B,) integers.
        loss_form: what the outputs are: "probs" or "logits".
    """
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
    """Return new weights, new slots, mean loss and outputs: a pure function, which JAX can compile.

    Args:
        model: what is trained.
        settings: of the optimizer.
        weights: float32: kernels (I, O), biases (O,).
        slots: the optimizer's, of each weight, of its shape.
        step: updates made before this one, float32.
        images: (B, features) float32.
        labels: (B,) integers.
        loss_form: what the outputs are: "probs" or "logits".
    """

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
    """Train, and return the last epoch's mean loss and accuracy, each sample before its update.

    Args:
        model: what is trained.
        optimizer: its own.
        images: (n, features) float32.
        labels: (n,) integers.
        epochs: how often all samples are trained on, in the order given.
        batch_size: samples of a batch; the last one may be short.
        loss_form: what the outputs are: "probs" or "logits".
        report: is called with epoch, batch and loss at every hundredth batch.
    """
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


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return the spec's model with those weights.

    Args:
        spec: layers, loss form, optimizer, batch size.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: the arm's own.
    """
    sizes = [weights[f"{layer.name}/kernel"].shape for layer in spec.layers]
    keys = jax.random.split(jax.random.key(0), len(sizes))
    layers = [
        NaiveDense(n_inputs, units, ACTIVATIONS[layer.activation], layer.name, key)
        for (n_inputs, units), layer, key in zip(sizes, spec.layers, keys, strict=True)
    ]
    model = NaiveSequential(layers)
    set_weights(model, weights)
    optimizer = Optimizer.start(Settings(**vars(spec.optimizer)), model.weights, jnp.zeros_like)
    training = {"batch_size": spec.batch_size, "loss_form": spec.loss_form}
    n_compiles = framework.watch_compiles(model)
    return State(
        framework, model, optimizer, training, set_weights, jnp.asarray, n_compiles, compiled=True
    )


def set_weights(model: NaiveSequential, weights: Weights) -> None:
    """Give the model those weights: by name, kernels (inputs, units), biases (units,), float32."""
    model.weights = [jnp.asarray(given) for given in weights.values()]


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, as arrays on the device."""
    samples: Samples = jax.device_put((x, y.astype(np.int32)))
    framework.wait(samples)
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in order; return the state, mean loss and accuracy before each update."""
    return state, *fit(state.model, state.optimizer, *data, epochs=1, **state.training)


def predict(state: State, x: Features) -> Features:
    """Return the model's outputs, (n, classes) float32, for x (n, features) float32."""
    return np.asarray(state.model(jnp.asarray(x), state.model.weights))
