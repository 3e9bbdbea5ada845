"""What no backend could train on, a function for each.

Runs inside a backend's environment: `python -m tests.backend.unusable` prints what is said of each.
"""

import json
import time
from pathlib import Path

import numpy as np

X, Y = np.zeros((8, 3), np.float32), np.zeros(8, np.int32)
BATCH = X, Y


def other_lengths():
    return {"left": X, "right": X[:7]}, Y


def rows_of_other_lengths():
    rows = np.empty(2, object)
    rows[:] = [[1.0], [1.0, 2.0]]
    return rows, Y[:2]


def not_a_number():
    x = X.copy()
    x[5, 2] = np.nan
    return X, x


def infinite():
    return X, Y, np.where(np.arange(8) == 3, np.inf, 1)


def endless():
    while True:
        yield BATCH


def endless_and_slow():
    while True:
        time.sleep(0.05)
        yield BATCH


def large():
    return np.zeros((1000, 2000), np.float32), np.zeros(1000)


def text():
    return np.array(["a", "b"]), Y[:2]


def python_lists():
    return [[0.0, 1.0], [2.0, 3.0]], [0, 1]


def empty():
    return X[:0], Y[:0]


def no_batches():
    yield from ()


def no_labels():
    return X


def batches_without_labels():
    yield X


def nothing():
    pass


def four():
    return X, Y, Y, Y


def other_name():
    return {"x": X, "labels": Y}


def steps():
    return {"x": endless(), "steps_per_epoch": 3}


def weights_alone():
    return {"x": X, "sample_weight": Y}


def two_pipelines():
    return endless(), endless()


def ragged():
    yield BATCH
    yield X[:, :2], Y


def other_dtype():
    yield BATCH
    yield X, Y.astype(np.float32)


def samples_for_batches():
    yield X[0], Y[0]


def raises_later():
    yield BATCH
    raise ValueError("the third file is damaged")


def both_weights():
    return {"x": X, "y": Y, "sample_weight": Y + 1.0, "class_weight": {0: 2.0}}


def weights_of_two():
    return {"x": X, "y": (Y, Y), "class_weight": {0: 2.0}}


def all_for_validation():
    return {"x": X, "y": Y, "validation_split": 0.99}


def half_a_batch():
    return {"x": X, "y": Y, "batch_size": 0.5}


def callback():
    import keras

    return {"x": X, "y": Y, "callbacks": [keras.callbacks.EarlyStopping("loss")]}


def bracket():
    return {"a[0]": X}, Y


def complex_numbers():
    return X.astype(np.complex64), Y


def sparse():
    from jax.experimental import sparse

    return sparse.BCOO.fromdense(X), Y


def ends():
    raise SystemExit("goodbye")


def why(name):
    """What is said of the data of a function; nothing where they are fine."""
    from harness.errors import Refused
    from harness.spec.targets import Target
    from harness.worker.user_data.arguments import read_data
    from harness.worker.user_data.pipelines import Bounds
    from harness.worker.user_inputs import call_function

    target = Target(name=f"unusable.py:{name}", file=Path(__file__), function=name)
    room = ROOM_BYTES if name in ("endless", "large") else 1 << 30
    limits = {"most_bytes": room, "limit_s": 0.3, "limit_batches": None, "batch_size": None}
    try:
        read_data(call_function(target), Bounds(where=target.name, file=target.file, **limits))
    except Refused as error:
        return str(error)
    return ""


ROOM_BYTES = 16 * (8 * 3 * 4 + 8 * 4)  # for 16 batches of `endless`
OWN = ("why", "Path")
NAMES = [name for name, each in globals().items() if callable(each) and name not in OWN]

if __name__ == "__main__":
    print(json.dumps({name: why(name) for name in (*NAMES, "missing")}))
