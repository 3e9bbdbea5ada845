"""JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from harness.worker.frameworks import Draws, Ways

Matrix = NDArray[np.float32]

COMPILED = "/jax/core/compile/backend_compile_duration"


def version() -> str:
    """Return JAX's version."""
    return str(jax.__version__)


def devices() -> list[str]:
    """Return the devices that a computation may run on."""
    return [_name(device) for device in jax.devices()]


def cuda() -> str | None:
    """Return the CUDA version this build runs on, None for one without CUDA."""
    try:
        from jax._src.lib import cuda_versions
    except ImportError:
        return None
    number = cuda_versions.cuda_runtime_build_version() if cuda_versions else 0
    return f"{number // 1000}.{number % 1000 // 10}" if number else None


def settings() -> dict[str, Any]:
    """Return what took effect.

    **Differs**: JAX has no switch for its threads and obeys affinity; TF32 is its default.
    """
    precision = jax.config.jax_default_matmul_precision
    on_gpu = jax.default_backend() == "gpu"
    return {
        "tf32": on_gpu and precision in (None, "default", "tensorfloat32"),
        "onednn": None,
        "threads": None,
    }


def fit_input(array: NDArray[Any]) -> Any:
    """Return what Keras's `fit` converts an array, (n, ...) of any dtype, to: on JAX, itself."""
    return array


def generator(seed: int) -> Draws:
    """Return JAX's own draws, uniform: float32 of a shape, and permutation: (n,) integers.

    **Differs**: JAX keeps no state; each draw splits a key off.
    """
    keys = [jax.random.key(seed)]

    def key() -> Any:
        keys[0], fresh = jax.random.split(keys[0])
        return fresh

    def uniform(low: float, high: float, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.asarray(jax.random.uniform(key(), shape, minval=low, maxval=high))

    return uniform, lambda n: np.asarray(jax.random.permutation(key(), n))


def device_of(tensor: Any) -> str:
    """Return the device that holds an array; the first where several hold it."""
    return _name(min(tensor.devices(), key=lambda device: device.id))


def wait(tensors: Sequence[Any]) -> None:
    """Return once the device has computed them. **Differs**: JAX is asynchronous on the CPU too."""
    jax.block_until_ready(tensors)


def read(tensor: Any) -> NDArray[Any]:
    """Return an array as NumPy has it, of any shape and dtype, once the device has computed it."""
    return np.asarray(tensor)


def product(a: Matrix, b: Matrix, form: str) -> Ways:
    """Return the ways to multiply two matrices repeatedly: in one program.

    XLA takes what does not change out of a loop; the barrier says that the factors might.

    Args:
        a: (m, k) float32, or (k, m) where transposed.
        b: (k, n) float32, or (n, k) where transposed.
        form: how each lies in memory: "n" as it is, "t" transposed.
    """
    axes = (((0 if form[0] == "t" else 1,), (1 if form[1] == "t" else 0,)), ((), ()))

    def body(index: Any, carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        left, right, _ = jax.lax.optimization_barrier(carry)
        return left, right, jax.lax.dot_general(left, right, axes)

    placed = jax.device_put((a, b))
    program = jax.jit(lambda rounds, *carry: jax.lax.fori_loop(0, rounds, body, carry)[2])
    result = jax.lax.dot_general(*placed, axes)
    return (lambda rounds: program(rounds, *placed, result),)


def addition(n: int) -> Ways:
    """Return the ways to add n floats to n others repeatedly: in one program, in place."""
    weights, change = jax.device_put((np.zeros(n, np.float32), np.full(n, 1e-6, np.float32)))

    @jax.jit
    def program(rounds: Any, start: Any, change: Any) -> Any:
        return jax.lax.fori_loop(0, rounds, lambda index, carry: carry + change, start)

    return (lambda rounds: program(rounds, weights, change),)


def smallest_call() -> Ways:
    """Return the ways to add 1 to a number repeatedly, a call each."""
    add, zero = jax.jit(lambda number: number + 1), jax.device_put(np.zeros(1, np.float32))

    def count(rounds: int) -> Any:
        number = zero
        for _ in range(rounds):
            number = add(number)
        return number

    return (count,)


def memory() -> dict[str, int]:
    """Return the allocator's peaks in bytes, in use and reserved; on a CPU none are counted."""
    counted = jax.devices()[0].memory_stats() or {}
    labels = {"peak_bytes_in_use": "allocator peak", "peak_pool_bytes": "allocator reserved"}
    return {label: int(counted[name]) for name, label in labels.items() if name in counted}


def watch_compiles(model: Any) -> Callable[[], int]:
    """Return a function that returns how many XLA programs were compiled since."""
    seen: list[str] = []

    def listen(event: str, *rest: Any, **more: Any) -> None:
        if event == COMPILED:
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return lambda: len(seen)


def _name(device: Any) -> str:
    return "cpu" if device.platform == "cpu" else f"{device.platform}: {device.device_kind}"
