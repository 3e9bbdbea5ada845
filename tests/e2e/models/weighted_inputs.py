"""Two inputs by name, two outputs, batch normalization, dropout and a weight for each sample."""

import keras
import numpy as np


def build():
    """Return the compiled model."""
    left, right = keras.Input((6,), name="left"), keras.Input((3,), name="right")
    joined = keras.layers.Concatenate()([left, keras.layers.Dense(4, activation="tanh")(right)])
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(8)(joined))
    hidden = keras.layers.Dropout(0.1)(hidden)
    outputs = {
        "size": keras.layers.Dense(1, name="size")(hidden),
        "kind": keras.layers.Dense(3, activation="softmax", name="kind")(hidden),
    }
    model = keras.Model({"left": left, "right": right}, outputs)
    losses = {"size": "mse", "kind": "sparse_categorical_crossentropy"}
    model.compile("rmsprop", loss=losses, loss_weights={"size": 0.3, "kind": 1.0})
    return model


def data():
    """Return what fit would be given; there is no validation data."""
    random = np.random.default_rng(3)
    left = random.standard_normal((210, 6)).astype("float32")
    right = random.standard_normal((210, 3)).astype("float32")
    y = {"size": left[:, :1] * 2, "kind": np.argmax(right, axis=1).astype("int32")}
    weights = random.uniform(0.2, 3, 210).astype("float32")
    return {"x": {"left": left, "right": right}, "y": y, "sample_weight": weights}
