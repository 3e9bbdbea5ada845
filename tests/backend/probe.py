"""Runs inside a backend's environment: `python -m tests.backend.probe FOLDER` reads job.json and
inputs.npz, writes outputs.npz.
"""

import gc
import importlib
import json
import os
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from harness.worker.optimizers import Optimizer

BACKEND = os.environ["KERAS_BACKEND"]


def arrays_of(backend):
    """How this framework makes an array, and its sqrt."""
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.convert_to_tensor, tf.zeros_like, tf.sqrt
    if backend == "jax":
        import jax.numpy as jnp

        return jnp.asarray, jnp.zeros_like, jnp.sqrt
    if backend == "torch":
        import torch

        return torch.from_numpy, torch.zeros_like, torch.sqrt
    return np.asarray, np.zeros_like, np.sqrt


def settings_of(spec):
    return dict(vars(spec.optimizer))


def keras_optimizer(spec):
    import keras

    settings = settings_of(spec)
    return keras.optimizers.get({"class_name": settings.pop("name"), "config": settings})


def by_hand(spec, inputs):
    """Weights and slots after each gradient of the sequence, by the equations of
    harness.worker.optimizers.
    """
    array, zeros_like, sqrt = arrays_of(BACKEND)
    weights = [array(inputs["start_kernel"]), array(inputs["start_bias"])]
    optimizer = Optimizer.start(spec.optimizer, weights, zeros_like)
    for kernel, bias in zip(inputs["gradient_kernel"], inputs["gradient_bias"], strict=True):
        weights = optimizer.update(weights, [array(kernel), array(bias)], sqrt)
    return {"kernel": weights[0], "bias": weights[1]} | {
        f"slot{index}": slot
        for index, slot in enumerate(slot for slots in optimizer.slots for slot in slots)
    }


def by_keras(spec, inputs):
    """The same by the Keras optimizer of this backend."""
    import keras

    optimizer = keras_optimizer(spec)
    weights = [keras.Variable(inputs["start_kernel"]), keras.Variable(inputs["start_bias"])]
    optimizer.build(weights)
    for kernel, bias in zip(inputs["gradient_kernel"], inputs["gradient_bias"], strict=True):
        optimizer.apply(
            [keras.ops.convert_to_tensor(kernel), keras.ops.convert_to_tensor(bias)], weights
        )
    slots = [
        variable
        for variable in optimizer.variables
        if variable.path.split("/")[-1] not in ("iteration", "learning_rate")
    ]
    return {"kernel": weights[0].value, "bias": weights[1].value} | {
        f"slot{i}": slot.value for i, slot in enumerate(slots)
    }


def counted_updates():
    """How often SGD has changed a weight after seven gradients, by threes added up and alone."""
    import keras

    from harness.worker.keras_optimizer import count_updates

    found = {}
    for steps in (None, 3):
        optimizer = keras.optimizers.SGD(gradient_accumulation_steps=steps)
        weights = [keras.Variable(np.ones(2, np.float32))]
        optimizer.build(weights)
        for _ in range(7):
            optimizer.apply([keras.ops.ones(2)], weights)
        found[f"counted|{steps}"] = count_updates(optimizer)
    return found


def held_samples():
    """Whether an arm of any Keras model still holds an epoch's samples once it is over."""
    import keras

    from harness.worker.arms.train_step import arm

    found = {}
    for name in ("lean", "compiled"):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.compile("sgd", "mse")
        data = arm.place((np.ones((6, 3), np.float32), np.ones((6, 2), np.float32)))
        state = arm.build(model, data, 4, name)
        arm.train_epoch(state, data)
        samples = [weakref.ref(each) for each in data]
        del data
        gc.collect()
        found[f"held|{name}"] = any(each() is not None for each in samples)
        assert state.arm == name
    return found


def by_torch_optim(spec, inputs):
    """The same by the torch.optim optimizers of the native arm, in Keras's equations."""
    import torch

    from harness.worker.arms.native.torch import keras_optimizer

    weights = [
        torch.from_numpy(inputs["start_kernel"].copy()),
        torch.from_numpy(inputs["start_bias"].copy()),
    ]
    optimizer = keras_optimizer(weights, spec.optimizer)
    for kernel, bias in zip(inputs["gradient_kernel"], inputs["gradient_bias"], strict=True):
        weights[0].grad, weights[1].grad = torch.from_numpy(kernel), torch.from_numpy(bias)
        optimizer.step()
    return {"kernel": weights[0], "bias": weights[1]}


def trained(arm, options, spec, inputs, n):
    """Weights, loss and outputs of an arm after one epoch of n samples from the given weights."""
    module = importlib.import_module(f"harness.worker.arms.{arm}")
    weights = {
        name: inputs[name].copy()
        for name in ("hidden/kernel", "hidden/bias", "output/kernel", "output/bias")
    }
    state = module.build(spec, weights, SimpleNamespace(**options))
    data = module.place(inputs["x"][:n].copy(), inputs["y"][:n].copy())
    state, loss, accuracy = module.epoch(state, data)
    module.wait(state)
    known = module.facts(state)
    assert known["n_parameters"] == 407_050
    outputs = module.predict(state, inputs["x"])
    return module.export(state) | {
        "loss": loss,
        "accuracy": accuracy,
        "outputs": outputs,
        "n_updates": known["n_updates"],
    }


def main(folder):
    job = json.loads((folder / "job.json").read_text())
    specs = json.loads(
        json.dumps(job["specs"]), object_hook=lambda fields: SimpleNamespace(**fields)
    )
    with np.load(folder / "inputs.npz") as archive:
        inputs = dict(archive)
    found = {}
    for name, spec in vars(specs).items():
        for implementation, arm in job["arms"].items():
            result = trained(arm["module"], arm["options"], spec, inputs, 128)
            found |= {f"{implementation}|{name}|{key}": value for key, value in result.items()}
        if name.endswith("logits"):
            ways = (
                {"hand": by_hand}
                | ({"keras": by_keras} if BACKEND != "numpy" else {})
                | ({"optim": by_torch_optim} if BACKEND == "torch" else {})
            )
            for way, work in ways.items():
                found |= {
                    f"{way}|{name}|{key}": np.asarray(
                        value.detach() if BACKEND == "torch" else value
                    )
                    for key, value in work(spec, inputs).items()
                }
    for implementation, arm in job["arms"].items():
        short = trained(
            arm["module"], arm["options"], getattr(specs, "rmsprop-logits"), inputs, 224
        )
        found |= {f"{implementation}|short|{key}": value for key, value in short.items()}
    found |= counted_updates() | held_samples() if BACKEND != "numpy" else {}
    np.savez(folder / "outputs.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    os._exit(0)
