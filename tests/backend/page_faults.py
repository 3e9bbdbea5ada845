"""Runs inside PyTorch's environment: `python -m tests.backend.page_faults ARM` prints how many
pages an update asks the system for, once an epoch has shown what it needs.
"""

import resource
import sys
from types import SimpleNamespace

import keras
import numpy as np

from harness.worker.arms.compiled import torch as stack
from harness.worker.arms.train_step import arm

N_UPDATES = 94  # their samples are one block above 32 MiB, which glibc learns nothing from
SIZES = (784, 512, 10)


def samples():
    random = np.random.default_rng(0)
    x = random.random((N_UPDATES * 128, 784), np.float32)
    return x, random.integers(0, 10, len(x)).astype(np.int32)


def of_a_stack():
    """Return an epoch of the stacks' eager loop."""
    layers = [
        SimpleNamespace(name="hidden", units=512, activation="relu"),
        SimpleNamespace(name="output", units=10, activation="linear"),
    ]
    optimizer = SimpleNamespace(
        name="rmsprop", learning_rate=1e-3, rho=0.9, momentum=0.0, epsilon=1e-7
    )
    spec = SimpleNamespace(layers=layers, optimizer=optimizer, loss_form="logits", batch_size=128)
    weights = {}
    for layer, n_in, n_out in zip(layers, SIZES, SIZES[1:], strict=False):
        weights[f"{layer.name}/kernel"] = np.zeros((n_in, n_out), np.float32)
        weights[f"{layer.name}/bias"] = np.zeros(n_out, np.float32)
    state = stack.build(spec, weights, SimpleNamespace(mode="eager"))
    data = stack.place(*samples())
    return lambda: stack.epoch(state, data)


def of_any_model(name):
    """Return an epoch of an arm of any Keras model."""
    layers = [keras.layers.Dense(512, "relu"), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((784,)), *layers])
    model.compile("rmsprop", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    data = arm.place(samples())
    state = arm.build(model, data, 128, name)
    return lambda: arm.train_epoch(state, data)


def page_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def main(name):
    train = of_a_stack() if name == "stack" else of_any_model(name)
    train()
    before = page_faults()
    train()
    print((page_faults() - before) / N_UPDATES)


if __name__ == "__main__":
    main(sys.argv[1])
