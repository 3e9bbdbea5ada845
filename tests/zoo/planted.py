"""A user's file: a model of the zoo for each defect, which PyTorch's Keras alone has, and batches.

`harness parity tests/zoo/planted.py:bn_epsilon --batch tests/zoo/planted.py:images`
"""

import sys
from pathlib import Path

import keras

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.zoo import defects, models

DEFECTIVE = "torch"
N_SAMPLES = 16


def model(name, defect):
    """Return what builds a model of the zoo, with a defect in this process's Keras."""

    def build():
        if keras.backend.backend() == DEFECTIVE:
            defects.PLANTED[defect]().start()
        return models.ZOO[name].build()

    return build


def batch(data):
    """Return what returns a batch of the zoo's data."""

    def make():
        given = data(N_SAMPLES)
        return given["x"], given["y"]

    return make


bn_epsilon = model("cnn_bn", "bn_epsilon")
bn_momentum = model("cnn_bn", "bn_momentum")
padding = model("cnn_bn", "padding")
wrong_gradient = model("cnn_bn", "wrong_gradient")
state_not_updated = model("cnn_bn", "state_not_updated")
ln_epsilon = model("norms", "ln_epsilon")
gelu_form = model("attention", "gelu_tanh")
adam_epsilon = model("dense_adam", "adam_epsilon")
mask_ignored = model("masked_bigru", "mask_ignored")
loss_weight = model("two_outputs", "loss_weight")
constant_in_float32 = model("dict_inputs", "constant_in_float32")
kernel_5 = model("attention", "kernel_1e-5")
kernel_6 = model("attention", "kernel_1e-6")

images = batch(models.images)
sequences = batch(models.sequences)
table = batch(models.table)
words = batch(models.words)
two_answers = batch(models.two_answers)
two_tables = batch(models.two_tables)
