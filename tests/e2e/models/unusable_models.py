"""Models that cannot be trained, each for a reason of its own, and data for them."""

import keras
import numpy as np


def uncompiled():
    """Return a model that is not compiled."""
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])


def no_model():
    """Return something else."""
    return {"model": uncompiled()}


def raising():
    """Raise."""
    raise RuntimeError("no such weights")


def misfit():
    """Return a model that does not take the data."""
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def fixed():
    """Return a model without weights."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Rescaling(2.0)])
    model.compile("sgd", "mse")
    return model


def build():
    """Return a model that is fine."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def unequal():
    """Return arrays of other lengths."""
    return np.zeros((8, 4), "float32"), np.zeros((7, 1), "float32")


def data():
    """Return data that are fine."""
    return np.zeros((8, 4), "float32"), np.zeros((8, 1), "float32")
