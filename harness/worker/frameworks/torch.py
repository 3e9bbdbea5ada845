"""PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.worker.frameworks import Draws, Ways

Matrix = NDArray[np.float32]

DEVICE = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def version() -> str:
    """Return PyTorch's version."""
    return str(torch.__version__)


def devices() -> list[str]:
    """Return the devices that a computation may run on."""
    if not torch.accelerator.is_available():
        return ["cpu"]
    kind = torch.accelerator.current_accelerator().type
    return [_name(torch.device(kind, index)) for index in range(torch.accelerator.device_count())]


def cuda() -> str | None:
    """Return the CUDA version this build runs on, None for one without CUDA."""
    built_for: str | None = torch.version.cuda
    return built_for


def settings() -> dict[str, Any]:
    """Return what took effect.

    **Differs**: PyTorch keeps TF32 off for matrix products unless it is asked for.
    """
    return {
        "tf32": torch.cuda.is_available() and bool(torch.backends.cuda.matmul.allow_tf32),
        "onednn": bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled),
        "threads": torch.get_num_threads(),
    }


def fit_input(array: NDArray[Any]) -> Any:
    """Return what Keras's `fit` converts an array (n, ...) of any dtype to: on PyTorch, itself."""
    return array


def generator(seed: int) -> Draws:
    """Return PyTorch's own draws, uniform: float32 of a shape, and permutation: (n,) integers."""
    source = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.asarray(torch.empty(shape).uniform_(low, high, generator=source))

    return uniform, lambda n: torch.randperm(n, generator=source).numpy()


def device_of(tensor: Any) -> str:
    """Return the device that holds a tensor."""
    return _name(tensor.device)


def wait(tensors: Sequence[Any]) -> None:
    """Return once the device has done all work given so far.

    **Differs**: on the CPU, PyTorch has done it already.
    """
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def read(tensor: Any) -> NDArray[Any]:
    """Return a tensor as NumPy has it, of any shape and dtype, once it is computed."""
    return np.asarray(tensor.detach().cpu())


def product(a: Matrix, b: Matrix, form: str) -> Ways:
    """Return the ways to multiply two matrices repeatedly: by BLAS, into a given matrix.

    Args:
        a: (m, k) float32, or (k, m) where transposed.
        b: (k, n) float32, or (n, k) where transposed.
        form: how each lies in memory: "n" as it is, "t" transposed.
    """
    left, right = torch.from_numpy(a).to(DEVICE), torch.from_numpy(b).to(DEVICE)
    left, right = left.T if form[0] == "t" else left, right.T if form[1] == "t" else right
    result = torch.empty(left.shape[0], right.shape[1], device=left.device)

    def multiply(rounds: int) -> Any:
        for _ in range(rounds):
            torch.mm(left, right, out=result)
        return result

    return (multiply,)


def addition(n: int) -> Ways:
    """Return the ways to add n floats to n others repeatedly: in place."""
    weights, change = torch.zeros(n, device=DEVICE), torch.full((n,), 1e-6, device=DEVICE)

    def add(rounds: int) -> Any:
        for _ in range(rounds):
            torch.add(weights, change, out=weights)
        return weights

    return (add,)


def smallest_call() -> Ways:
    """Return the ways to add one number to another repeatedly.

    **Differs**: with a given result it takes half as long as `add_(1)`.
    """
    return addition(1)


def memory() -> dict[str, int]:
    """Return the CUDA allocator's peaks in bytes, in use and reserved; on a CPU there are none."""
    if not torch.cuda.is_available():
        return {}
    return {
        "allocator peak": torch.cuda.max_memory_allocated(),
        "allocator reserved": torch.cuda.max_memory_reserved(),
    }


def watch_compiles(model: Any) -> Callable[[], int]:
    """Return a function that returns how many graphs torch.compile made since."""
    from torch._dynamo.utils import counters

    before = counters["stats"]["unique_graphs"]
    return lambda: int(counters["stats"]["unique_graphs"] - before)


def _name(device: Any) -> str:
    if device.type == "cpu":
        return "cpu"
    return f"gpu: {torch.cuda.get_device_name(device) if device.type == 'cuda' else device.type}"
