"""A Functional model with two inputs and two outputs, a batch of its own, and data to train on."""

import keras
import numpy as np


def build():
    """Return the model, compiled, with a model inside it and a layer that is called twice."""
    left, right = keras.Input((7,), name="left"), keras.Input((7,), name="right")
    shared = keras.layers.Dense(6, activation="tanh", name="shared")
    narrow, level = (
        keras.layers.Dense(5, "relu", name="narrow"),
        keras.layers.LayerNormalization(name="level"),
    )
    inner = keras.Sequential([keras.Input((12,)), narrow, level], name="inner")
    joined = inner(keras.layers.Concatenate(name="joined")([shared(left), shared(right)]))
    score = keras.layers.Dense(1, name="score")(joined)
    kind = keras.layers.Dense(3, name="kind")(joined)
    model = keras.Model({"left": left, "right": right}, {"score": score, "kind": kind})
    model.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
        loss={"score": "mse", "kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
    )
    return model


def batch():
    """Return 24 samples."""
    random = np.random.default_rng(5)
    x = {name: random.standard_normal((24, 7), np.float32) for name in ("left", "right")}
    return x, {
        "score": random.standard_normal((24, 1), np.float32),
        "kind": random.integers(0, 3, (24,)),
    }


def data():
    """Return what fit would be given."""
    x, y = batch()
    return {"x": x, "y": y, "batch_size": 8}
