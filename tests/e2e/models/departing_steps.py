"""A loss that Python counts while it is traced: what a program is then depends on who traced it."""

import keras
import numpy as np

CALLS = [0]


class Counting(keras.Sequential):
    """A model whose loss grows with each call that Python sees."""

    def compute_loss(self, *arguments, **more):
        """Return the loss times the number of calls so far."""
        CALLS[0] += 1
        return super().compute_loss(*arguments, **more) * CALLS[0]


def build():
    """Return the compiled model."""
    model = Counting([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.001), "mse")
    return model


def data():
    """Return x and y."""
    x = np.random.default_rng(0).standard_normal((64, 4)).astype("float32")
    return x, x[:, :1]
