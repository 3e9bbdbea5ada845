"""Runs inside a backend's environment: `python -m tests.backend.saved save|load FOLDER`.

It saves models, or prints what comes of loading each.
"""

import json
import sys
from pathlib import Path

import keras


def save(folder):
    @keras.saving.register_keras_serializable()
    class Scale(keras.layers.Layer):
        def call(self, x):
            return x * 2

    def difference(one, other):
        return keras.ops.mean(one - other)

    layers = {"plain": [], "custom": [Scale()], "code": [keras.layers.Lambda(lambda x: x + 1)]}
    for name, more in {**layers, "loss": [], "uncompiled": []}.items():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), *more])
        if name != "uncompiled":
            model.compile("adam", difference if name == "loss" else "mse")
        model.save(folder / f"{name}.keras")
    (folder / "broken.keras").write_text("no archive")
    return {}


def load(folder):
    from harness.errors import Refused
    from harness.spec.targets import Target
    from harness.worker.saved_model import load_saved

    found = {}
    for file in sorted(folder.glob("*.keras")):
        try:
            model = load_saved(Target(name=file.name, file=file, function=""))
        except Refused as error:
            found[file.stem] = str(error)
        else:
            optimizer = type(model.optimizer).__module__ if model.compiled else ""
            found[file.stem] = [model.compiled, optimizer]
    return found


if __name__ == "__main__":
    print(json.dumps({"save": save, "load": load}[sys.argv[1]](Path(sys.argv[2]))))
