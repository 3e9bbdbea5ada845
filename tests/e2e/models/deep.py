"""A model of more than 100 layers, of which one errs on PyTorch in float32."""

import keras


class Errs(keras.layers.Layer):
    """Adds ten roundings on PyTorch in float32: always, or only once ten updates are made."""

    def __init__(self, always, **others):
        super().__init__(**others)
        self.always = always

    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

    def call(self, x, training=False):
        """Return x; in training, count."""
        if training:
            self.count.assign_add(1.0)
        if keras.backend.backend() != "torch" or keras.config.floatx() == "float64":
            return x
        errs = 1.0 if self.always else keras.ops.cast(self.count > 5, x.dtype)
        return x + errs * 10 * 2.0**-24


def build(always=True):
    """Return it, compiled: it learns nothing, so that its outputs are as large at every state."""
    layers = [Errs(always, name="errs"), *(keras.layers.Identity() for _ in range(100))]
    last = keras.layers.Dense(3, name="last")
    model = keras.Sequential([keras.Input((4,)), *layers, last])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model
