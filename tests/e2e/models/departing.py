"""Models that really are other models on another backend, each in a way that happens; and functions
that build none.
"""

import os

import keras
import numpy as np

BACKEND = keras.backend.backend()


def build():
    """Return a model whose activation was written three times, once with another constant."""
    return stack(squash)


def squash(x):
    """Return x without its sharp bend; PyTorch's formula has a slip in its last digit."""
    return x * keras.ops.sigmoid((1.7021 if BACKEND == "torch" else 1.702) * x)


def epsilon():
    """Return a model whose batch normalisation takes each backend's customary epsilon: no two are
    alike.
    """
    return stack("tanh", {"tensorflow": 1e-3, "jax": 1e-6, "torch": 1e-5}[BACKEND])


def rate():
    """Return a model whose forward pass is the same everywhere, and whose optimizer is not."""
    return stack(
        "tanh", optimizer=keras.optimizers.Adam(epsilon=1e-8 if BACKEND == "jax" else 1e-7)
    )


def not_finite():
    """Return a model that divides by zero on one backend."""
    return stack(lambda x: x / (0.0 if BACKEND == "jax" else 1.0))


def only_tensorflow():
    """Return a model that can be built on one backend only."""
    import tensorflow as tf

    return stack(tf.math.softplus)


def raises():
    """Raise, as a function with a mistake in it does."""
    return keras.Sequential([keras.layers.Dense("many")])


def wider():
    """Return a model that is wider on one backend."""
    return stack("tanh", units=7 if BACKEND == "tensorflow" else 6)


def uncompiled():
    """Return a model that nobody has compiled."""
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])


def shapeless():
    """Return a model that does not know yet what it will be given."""
    model = keras.Sequential([keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    return model


def nothing():
    """Return nothing."""


def short():
    """Return a batch of which one array is too short."""
    return np.zeros((8, 4), np.float32), np.zeros((7,), np.int64)


def stack(activation, epsilon=1e-3, optimizer="rmsprop", units=6):
    """Return Dense, BatchNormalization and Dense, compiled."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(units, name="first"),
            keras.layers.BatchNormalization(epsilon=epsilon, name="normal"),
            keras.layers.Activation(activation, name="squash"),
            keras.layers.Dense(3, name="last"),
        ]
    )
    model.compile(
        optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


def crashes():
    """Return a model with a layer that ends its process in float64 on one backend."""

    def crash(x):
        if BACKEND == "torch" and keras.config.floatx() == "float64":
            os.abort()
        return keras.ops.tanh(x)

    layers = [keras.layers.Dense(6), keras.layers.Activation(crash), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile("sgd", "mse")
    return model
