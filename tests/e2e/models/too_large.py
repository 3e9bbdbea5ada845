"""A model for which memory is enough in its own dtype, and in float64 no longer."""

import os
import resource
import signal
from pathlib import Path

import keras

ROOM_BYTES = (
    32 * 2**20
)  # beyond what the process has when it begins to build; a weight needs 64 MiB
UNITS = 2896


def build():
    if keras.config.floatx() == "float64":
        end_of_memory()
    layers = [keras.Input((UNITS,)), keras.layers.Dense(UNITS, name="wide"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("sgd", "mean_squared_error")
    return model


def end_of_memory():
    """Leave this process little more than it has; on JAX do what a system out of memory does."""
    if keras.backend.backend() == "jax":
        os.kill(os.getpid(), signal.SIGKILL)
    n_pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = n_pages * resource.getpagesize() + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
