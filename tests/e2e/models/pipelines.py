"""Pipelines that feed `fit` themselves: the same on every backend, or another in each process."""

import os

import keras
import numpy as np


def build():
    """Return the compiled model."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


class Batches(keras.utils.PyDataset):
    """Ten batches of 8."""

    def __init__(self, seed):
        """Draw the samples."""
        super().__init__()
        self.x = np.random.default_rng(seed).standard_normal((80, 4)).astype("float32")

    def __len__(self):
        """Return the number of batches."""
        return 10

    def __getitem__(self, index):
        """Return a batch."""
        x = self.x[8 * index : 8 * index + 8]
        return x, x[:, :1]


def data():
    """Return the same batches everywhere."""
    return Batches(0)


def others():
    """Return other batches in every process."""
    return Batches(os.getpid())


def once():
    """Return batches that can be read once only."""
    return (batch for batch in [data()[0]])


def arrays():
    """Return no pipeline."""
    return data()[0]
