"""What the probes are asked: specs and inputs, the same for every backend. No framework here."""

import numpy as np

from harness.spec.config import SGD, Adam, Dense, RMSprop, Spec
from harness.spec.initializers import initial_weights

OPTIMIZERS = {
    "sgd": SGD(name="sgd", learning_rate=0.01),
    "momentum": SGD(name="sgd", learning_rate=0.01, momentum=0.9),
    "rmsprop": RMSprop(name="rmsprop"),
    "adam": Adam(name="adam"),
}
FORMS = {"probs": "softmax", "logits": "linear"}


def spec(optimizer, form):
    layers = (
        Dense(name="hidden", units=512, activation="relu"),
        Dense(name="output", units=10, activation=FORMS[form]),
    )
    return Spec(layers=layers, optimizer=OPTIMIZERS[optimizer], loss_form=form)


# Every optimizer in one form of the loss, and one of them in the other: neither knows of the other.
SPECS = {f"{optimizer}-logits": spec(optimizer, "logits") for optimizer in OPTIMIZERS}
SPECS |= {"rmsprop-probs": spec("rmsprop", "probs")}
WEIGHTS = ("hidden/kernel", "hidden/bias", "output/kernel", "output/bias")
N_STEPS = 20


def inputs():
    """A batch and a short one of images in [0, 1], most pixels black; initial weights; 20 gradients
    for each of two weights.
    """
    random = np.random.default_rng(5)
    pixels = random.random((224, 784)) * (random.random((224, 784)) < 0.25)
    arrays = {"x": pixels.astype(np.float32), "y": random.integers(0, 10, 224).astype(np.uint8)}
    arrays |= initial_weights(random.uniform, 784, [("hidden", 512), ("output", 10)])
    scale = 10.0 ** random.uniform(
        -6, 0, (N_STEPS, 40, 7)
    )  # an epsilon shows where gradients are small
    arrays |= {
        "start_kernel": random.normal(0, 1e-3, (40, 7)).astype(np.float32),
        "start_bias": np.zeros(7, np.float32),
    }
    arrays |= {"gradient_kernel": (random.normal(size=scale.shape) * scale).astype(np.float32)}
    arrays |= {"gradient_bias": (random.normal(size=(N_STEPS, 7)) * scale[:, 0]).astype(np.float32)}
    return arrays
