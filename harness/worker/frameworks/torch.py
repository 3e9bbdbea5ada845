"""PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


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
    """Return what took effect. **Differs**: PyTorch keeps TF32 off for matrix products unless it is asked for."""
    return {
        "tf32": torch.cuda.is_available() and bool(torch.backends.cuda.matmul.allow_tf32),
        "onednn": bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled),
        "threads": torch.get_num_threads(),
    }


def held(array: NDArray[Any]) -> Any:
    """Return what Keras's `fit` turns a NumPy array into: on PyTorch, itself; its DataLoader converts batch by batch."""
    return array


def generator(seed: int) -> tuple[Callable[..., NDArray[Any]], Callable[[int], NDArray[Any]]]:
    """Return PyTorch's own draws."""
    source = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.asarray(torch.empty(shape).uniform_(low, high, generator=source))

    return uniform, lambda n: torch.randperm(n, generator=source).numpy()


def where(tensor: Any) -> str:
    """Return the device that holds a tensor."""
    return _name(tensor.device)


def wait(tensors: Sequence[Any]) -> None:
    """Return once the device has done all work given so far. **Differs**: on the CPU, PyTorch has done it already."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def watch_compiles(model: Any) -> Callable[[], int]:
    """Return a function that says how many graphs torch.compile made since; eager work makes none."""
    from torch._dynamo.utils import counters

    before = counters["stats"]["unique_graphs"]
    return lambda: int(counters["stats"]["unique_graphs"] - before)


def _name(device: Any) -> str:
    if device.type == "cpu":
        return "cpu"
    return f"gpu: {torch.cuda.get_device_name(device) if device.type == 'cuda' else device.type}"
