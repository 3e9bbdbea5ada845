"""TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from harness.worker.frameworks import Draws, Ways

Matrix = NDArray[np.float32]


def version() -> str:
    """Return TensorFlow's version."""
    return str(tf.__version__)


def devices() -> list[str]:
    """Return the devices that a computation may run on."""
    return [_name(device) for device in tf.config.get_visible_devices()]


def cuda() -> str | None:
    """Return the CUDA version this build runs on, None for one without CUDA."""
    built_for: str | None = tf.sysconfig.get_build_info().get("cuda_version")
    return built_for


def settings() -> dict[str, Any]:
    """Return what took effect.

    **Differs**: threads are None where TensorFlow chooses them itself, from affinity.
    """
    # No public name says whether oneDNN is compiled in.
    from tensorflow.python.util import _pywrap_util_port

    switched_off = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") in ("0", "false")
    onednn = bool(_pywrap_util_port.IsMklEnabled()) and not switched_off
    on_gpu = bool(tf.config.get_visible_devices("GPU"))
    return {
        "tf32": on_gpu and bool(tf.config.experimental.tensor_float_32_execution_enabled()),
        "onednn": onednn,
        "threads": tf.config.threading.get_intra_op_parallelism_threads() or None,
    }


def fit_input(array: NDArray[Any]) -> Any:
    """Return what Keras's `fit` converts an array, (n, ...) of any dtype, to: a CPU tensor.

    **Differs**: the conversion copies; for a `fit` an epoch that is a copy an epoch, which a `fit`
    of five makes once.
    """
    with tf.device("cpu:0"):
        return tf.convert_to_tensor(array)


def generator(seed: int) -> Draws:
    """Return TensorFlow's own draws, uniform: float32 of a shape; permutation: (n,) integers."""
    source = tf.random.Generator.from_seed(seed)

    def uniform(low: float, high: float, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.asarray(source.uniform(shape, low, high))

    def permutation(n: int) -> NDArray[Any]:
        seeds = source.make_seeds()[:, 0]
        return np.asarray(tf.random.experimental.stateless_shuffle(tf.range(n), seeds))

    return uniform, permutation


def device_of(tensor: Any) -> str:
    """Return the device that holds a variable or a tensor."""
    kind, index = tensor.device.rsplit(":", 2)[1:]
    return _name(tf.config.get_visible_devices(kind)[int(index)])


def wait(tensors: Sequence[Any]) -> None:
    """Return once the devices have done all work given so far."""
    tf.test.experimental.sync_devices()


def read(tensor: Any) -> NDArray[Any]:
    """Return a tensor as NumPy has it, of any shape and dtype, once it is computed.

    Of a variable that several devices hold it is the first one's.
    """
    return np.asarray(tf.convert_to_tensor(tensor))


def product(a: Matrix, b: Matrix, form: str) -> Ways:
    """Return the ways to multiply two matrices repeatedly: a loop as it is, and one in XLA.

    XLA takes what does not change out of a loop, and TensorFlow offers no barrier: one number of a
    factor comes from the last round. Without that, 200 rounds took as long as 20.

    Args:
        a: (m, k) float32, or (k, m) where transposed.
        b: (k, n) float32, or (n, k) where transposed.
        form: how each lies in memory: "n" as it is, "t" transposed.
    """
    left, right = tf.convert_to_tensor(a), tf.convert_to_tensor(b)
    transposed = {"transpose_a": form[0] == "t", "transpose_b": form[1] == "t"}

    def plain(index: Any, right: Any, result: Any) -> tuple[Any, Any, Any]:
        return index + 1, right, tf.matmul(left, right, **transposed)

    def changing(index: Any, right: Any, result: Any) -> tuple[Any, Any, Any]:
        right = tf.tensor_scatter_nd_update(right, [[0, 0]], [result[0, 0] * 1e-20])
        return index + 1, right, tf.matmul(left, right, **transposed)

    start = right, tf.matmul(left, right, **transposed)
    return _loop(plain, start, compiled=False), _loop(changing, start, compiled=True)


def addition(n: int) -> Ways:
    """Return the ways to add n floats to n others repeatedly: a loop as it is, and in XLA."""
    change = tf.fill([n], 1e-6)

    def add(index: Any, weights: Any) -> tuple[Any, Any]:
        return index + 1, weights + change

    return tuple(_loop(add, (tf.zeros([n]),), compiled=compiled) for compiled in (False, True))


def smallest_call() -> Ways:
    """Return the ways to add 1 to a number repeatedly, a call each.

    **Differs**: `number + 1` takes twice as long as this.
    """
    zero, one = tf.zeros([1]), tf.ones([1])

    def count(rounds: int) -> Any:
        number = zero
        for _ in range(rounds):
            number = tf.raw_ops.AddV2(x=number, y=one)
        return number

    return (count,)


def _loop(
    body: Callable[..., Any], start: tuple[Any, ...], *, compiled: bool
) -> Callable[[int], Any]:
    """Return a function that runs a loop's body a number of rounds in one call."""

    @tf.function(jit_compile=compiled, autograph=False)
    def program(rounds: Any, *start: Any) -> Any:
        carry = tf.constant(0), *start
        return tf.while_loop(lambda index, *rest: index < rounds, body, carry)[-1]

    return lambda rounds: program(tf.constant(rounds), *start)


def memory() -> dict[str, int]:
    """Return the GPU allocator's peak in bytes; on a CPU none is counted."""
    if not tf.config.get_visible_devices("GPU"):
        return {}
    return {"allocator peak": int(tf.config.experimental.get_memory_info("GPU:0")["peak"])}


def watch_compiles(model: Any) -> Callable[[], int]:
    """Return a function that returns how often a step of a Keras model was traced since.

    Keras 3.15's `train_function` is a plain wrapper without TensorFlow's count of its traces. The
    Python body of a step runs only while it is traced, so its calls are the traces; a traced step
    never comes here again.
    """
    traces: list[str] = []

    def count_traces(step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def body(data: Any) -> Any:
            traces.append(step.__name__)
            return step(data)

        return body

    model.train_step = count_traces(model.train_step)
    model.predict_step = count_traces(model.predict_step)
    return lambda: len(traces)


def _name(device: Any) -> str:
    if device.device_type == "CPU":
        return "cpu"
    details = tf.config.experimental.get_device_details(device)
    return f"gpu: {details.get('device_name', device.device_type)}"
