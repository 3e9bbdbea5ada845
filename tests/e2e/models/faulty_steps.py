"""Models that train on one backend only, or fill the disk."""

import keras
import numpy as np


class OfTensorFlow(keras.Sequential):
    """A train_step as TensorFlow has it."""

    def train_step(self, data):
        """Make one update."""
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


class OfTorch(keras.Sequential):
    """A train_step as PyTorch has it."""

    def train_step(self, data):
        """Make one update."""
        x, y = data
        self.zero_grad()
        loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        loss.backward()
        gradients = [each.value.grad for each in self.trainable_weights]
        self.optimizer.apply(gradients, self.trainable_weights)
        return {"loss": loss}


def _compiled(kind):
    model = kind([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def of_tensorflow():
    """Return a model for TensorFlow."""
    return _compiled(OfTensorFlow)


def of_torch():
    """Return a model for PyTorch."""
    return _compiled(OfTorch)


def of_layer():
    """Return a model with a layer that two backends lack."""

    def scale(params, inputs):
        return params["scale"] * inputs

    layer = keras.layers.JaxLayer(scale, params={"scale": np.ones(4, "float32")})
    model = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def build():
    """Return a model that is fine."""
    return _compiled(keras.Sequential)


def large():
    """Return a model of 2 million weights."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(400_000)])
    model.compile("sgd", "mse")
    return model


def data(n_samples=64):
    """Return x and y."""
    x = np.random.default_rng(0).standard_normal((n_samples, 4)).astype("float32")
    return x, x[:, :1]


def much():
    """Return 3 MB of data."""
    return data(200_000)
