"""A small convolutional model, and images of digits that lie beside this file."""

from pathlib import Path

import keras
import numpy as np


def build(width=4, precision="float32"):
    """Return the compiled model; all but its last layer computes in that precision."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(width, 3, strides=2, activation="relu", dtype=precision),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def data():
    """Return what fit would be given."""
    found = np.load(Path(__file__).with_name("digits.npz"))
    x, y = found["x"][..., None].astype("float32") / 255, found["y"]
    return {"x": x[:800], "y": y[:800], "batch_size": 32, "validation_data": (x[800:], y[800:])}
