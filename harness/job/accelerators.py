"""The GPUs of this machine, asked without any framework: a worker, too, may import this file."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One GPU, as its vendor's library names it."""

    name: str
    memory_bytes: int | None
    driver: str | None
    cuda: str | None  # newest CUDA version that the driver can run


@dataclass(frozen=True, slots=True)
class Hardware:
    """The accelerators found, and what is to be said about one that was seen but cannot be used."""

    accelerators: tuple[Accelerator, ...]
    remark: str = ""


def detect_hardware() -> Hardware:
    """Return what this machine has: NVIDIA's GPUs, Apple's, or none."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return Hardware((Accelerator(apple_processor(), memory_bytes(), None, None),))
    return _nvidia()


class NoAnswer(Exception):
    """NVIDIA's driver does not answer, or not to this question."""

    def __init__(self, reason: str, *, has_driver: bool) -> None:
        super().__init__(reason)
        self.has_driver = has_driver


@contextmanager
def nvidia_gpus() -> Iterator[tuple[Any, list[Any]]]:
    """Give NVML and its handle of each GPU, and shut it afterwards.

    Raises:
        NoAnswer: there is no driver, or it does not answer what is asked of it meanwhile.
    """
    try:
        import pynvml
    except ImportError as error:
        raise NoAnswer(str(error), has_driver=False) from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise NoAnswer(str(error), has_driver=False) from None
    try:
        yield (
            pynvml,
            [pynvml.nvmlDeviceGetHandleByIndex(n) for n in range(pynvml.nvmlDeviceGetCount())],
        )
    except pynvml.NVMLError as error:
        raise NoAnswer(str(error), has_driver=True) from None
    finally:
        pynvml.nvmlShutdown()


def _nvidia() -> Hardware:
    try:
        with nvidia_gpus() as (nvml, gpus):
            driver, version = (
                nvml.nvmlSystemGetDriverVersion(),
                nvml.nvmlSystemGetCudaDriverVersion_v2(),
            )
            cuda = f"{version // 1000}.{version % 1000 // 10}"
            names = [nvml.nvmlDeviceGetName(gpu) for gpu in gpus]
            sizes = [nvml.nvmlDeviceGetMemoryInfo(gpu).total for gpu in gpus]
            pairs = zip(names, sizes, strict=True)
            return Hardware(tuple(Accelerator(name, size, driver, cuda) for name, size in pairs))
    except NoAnswer as error:
        if error.has_driver:
            return Hardware(
                (), f"NVML answers, but not about its devices ({error}). Repair the driver"
            )
        if _nvidia_on_the_bus():
            remark = f"an NVIDIA device is on the PCI bus, but no driver answers ({error}). "
            return Hardware((), remark + "Install or repair it")
        return Hardware(())


def process_memory(pid: int) -> int | None:
    """Return the bytes that a process holds on all NVIDIA GPUs, reserved ones included.

    None where no driver answers, where it holds none, and where the driver does not say (a
    container that hides pids, WSL).
    """
    try:
        with nvidia_gpus() as (nvml, gpus):
            several = [nvml.nvmlDeviceGetComputeRunningProcesses(gpu) for gpu in gpus]
    except NoAnswer:
        return None
    held = [
        process.usedGpuMemory
        for running in several
        for process in running
        if process.pid == pid and process.usedGpuMemory is not None
    ]
    return sum(held) if held else None


def _nvidia_on_the_bus(bus: Path = Path("/sys/bus/pci/devices")) -> bool:
    """Say whether an NVIDIA display or 3D controller is plugged in; Linux only.

    Its vendor is 0x10de, its class 0x03....
    """
    for device in bus.glob("*"):
        try:
            vendor, kind = (device / "vendor").read_text(), (device / "class").read_text()
        except OSError:
            continue
        if vendor.strip() == "0x10de" and kind.startswith("0x03"):
            return True
    return False


def apple_processor() -> str:
    """Return the name of Apple's processor, which is its GPU too."""
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "Apple"


def memory_bytes() -> int:
    """Return the bytes of the machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
