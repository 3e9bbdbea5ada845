"""Defects planted in this process: what a slip in one backend's code would be."""

from contextlib import contextmanager
from unittest import mock

import keras
from keras import layers, ops
from keras.src import backend

from tests.zoo import models


@contextmanager
def planted(name):
    """Plant a defect while a model is built and run; "" plants none."""
    with PLANTED[name]() if name else mock.patch.object(keras, "_no_defect", 0, create=True):
        yield


def argument(kind, **more):
    """Give a layer or an optimizer another value of an argument."""
    made = kind.__init__
    return mock.patch.object(kind, "__init__", lambda self, *a, **k: made(self, *a, **k | more))


def gelu_tanh():
    """Use gelu's tanh form, whatever was asked for."""
    gelu = backend.nn.gelu
    return mock.patch.object(backend.nn, "gelu", lambda x, approximate=True: gelu(x, True))


def kernel(size):
    """Return a kernel of gelu's that errs in float32 only."""

    def plant():
        gelu = backend.nn.gelu

        def rounded(x, approximate=True):
            found = gelu(x, approximate)
            if backend.standardize_dtype(found.dtype) != "float32":
                return found
            return found * (1 + size * ops.sin(1e3 * x))

        return mock.patch.object(backend.nn, "gelu", rounded)

    return plant


def padding():
    """Put all of a convolution's padding before the image, by one pixel more."""
    conv = backend.nn.conv

    def moved(inputs, kernel, strides=1, padding="valid", *rest, **more):
        if padding == "same":
            inputs = ops.pad(inputs, [[0, 0], [1, 0], [1, 0], [0, 0]])[:, :-1, :-1]
        return conv(inputs, kernel, strides, padding, *rest, **more)

    return mock.patch.object(backend.nn, "conv", moved)


def wrong_gradient():
    """Return x + 0 whose gradient is 1.001 times too large in a layer of one's own."""
    call = layers.ReLU.call

    def scaled(self, x):
        found = call(self, x)
        return found + 1e-3 * (found - ops.stop_gradient(found))

    return mock.patch.object(layers.ReLU, "call", scaled)


def mask_ignored():
    """Let Embedding make no mask."""
    return mock.patch.object(layers.Embedding, "compute_mask", return_value=None)


def state_not_updated():
    """Leave the moving statistics of batch normalisation where they are."""
    return argument(layers.BatchNormalization, momentum=1.0)


def loss_weight():
    """Compile every model with another weight of its second loss."""
    compile_model = keras.Model.compile

    def other(self, *rest, **more):
        weights = more.get("loss_weights")
        if weights:
            more["loss_weights"] = weights | {"size": 2.000001}
        return compile_model(self, *rest, **more)

    return mock.patch.object(keras.Model, "compile", other)


def constant_in_float32():
    """Multiply tanh's argument by a constant that float32 would round by a quarter of a digit."""
    tanh = backend.numpy.tanh
    return mock.patch.object(backend.numpy, "tanh", lambda x: tanh(x * (1 + 1.49e-8)))


def cast_by_name(x):
    """Return x in float32, as a user's code asks the framework itself for it."""
    framework = keras.backend.backend()
    if framework == "tensorflow":
        import tensorflow as tf

        return tf.cast(x, tf.float32)
    return x.float() if framework == "torch" else x.astype(jnp_float32())


def jnp_float32():
    """Return JAX's float32."""
    import jax.numpy as jnp

    return jnp.float32


def short_cast():
    """Return a model with a cast of its own."""
    return models.stack(layers.Lambda(cast_by_name), layers.Dense(16, "relu"))


PLANTED = {
    "bn_epsilon": lambda: argument(layers.BatchNormalization, epsilon=1.001e-3),
    "bn_momentum": lambda: argument(layers.BatchNormalization, momentum=0.9901),
    "ln_epsilon": lambda: argument(layers.LayerNormalization, epsilon=1.001e-3),
    "adam_epsilon": lambda: argument(keras.optimizers.Adam, epsilon=1.1e-7),
    "gelu_tanh": gelu_tanh,
    "padding": padding,
    "wrong_gradient": wrong_gradient,
    "mask_ignored": mask_ignored,
    "state_not_updated": state_not_updated,
    "loss_weight": loss_weight,
    "constant_in_float32": constant_in_float32,
    "kernel_1e-4": kernel(1e-4),
    "kernel_1e-5": kernel(1e-5),
    "kernel_1e-6": kernel(1e-6),
}
