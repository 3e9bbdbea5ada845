"""JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

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
    """Return what took effect. **Differs**: JAX has no switch for its threads and obeys affinity; TF32 is its default."""
    precision = jax.config.jax_default_matmul_precision
    on_gpu = jax.default_backend() == "gpu"
    return {"tf32": on_gpu and precision in (None, "default", "tensorfloat32"), "onednn": None, "threads": None}


def held(array: NDArray[Any]) -> Any:
    """Return what Keras's `fit` turns a NumPy array into: on JAX, itself; batches are cut from it, then moved."""
    return array


def generator(seed: int) -> tuple[Callable[..., NDArray[Any]], Callable[[int], NDArray[Any]]]:
    """Return JAX's own draws. **Differs**: JAX keeps no state; each draw splits a key off."""
    keys = [jax.random.key(seed)]

    def key() -> Any:
        keys[0], fresh = jax.random.split(keys[0])
        return fresh

    def uniform(low: float, high: float, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.asarray(jax.random.uniform(key(), shape, minval=low, maxval=high))

    return uniform, lambda n: np.asarray(jax.random.permutation(key(), n))


def where(tensor: Any) -> str:
    """Return the device that holds an array."""
    (device,) = tensor.devices()
    return _name(device)


def wait(tensors: Sequence[Any]) -> None:
    """Return once the device has computed them. **Differs**: JAX is asynchronous on the CPU too."""
    jax.block_until_ready(tensors)


def watch_compiles(model: Any) -> Callable[[], int]:
    """Return a function that says how many XLA programs were compiled since."""
    seen: list[str] = []

    def listen(event: str, *rest: Any, **more: Any) -> None:
        if event == COMPILED:
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return lambda: len(seen)


def _name(device: Any) -> str:
    return "cpu" if device.platform == "cpu" else f"{device.platform}: {device.device_kind}"
