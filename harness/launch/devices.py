"""What hardware this machine has, asked without any framework: the other half of what each backend sees."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.records.record import Host


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


def look() -> Hardware:
    """Return what this machine has: NVIDIA's GPUs, Apple's, or none."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return Hardware((Accelerator(_apple_processor(), psutil.virtual_memory().total, None, None),))
    return _nvidia()


def _nvidia() -> Hardware:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if _nvidia_on_the_bus():
            return Hardware((), f"an NVIDIA device is on the PCI bus, but its driver does not answer ({error}). Install or repair the driver")
        return Hardware(())
    try:
        driver = pynvml.nvmlSystemGetDriverVersion()
        version = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        cuda = f"{version // 1000}.{version % 1000 // 10}"
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return Hardware(
            tuple(
                Accelerator(pynvml.nvmlDeviceGetName(handle), pynvml.nvmlDeviceGetMemoryInfo(handle).total, driver, cuda)
                for handle in handles
            )
        )
    except pynvml.NVMLError as error:
        return Hardware((), f"NVML answers, but not about its devices ({error}). Repair the driver")
    finally:
        pynvml.nvmlShutdown()


def _nvidia_on_the_bus(bus: Path = Path("/sys/bus/pci/devices")) -> bool:
    """Say whether a display or 3D controller (class 0x03....) of NVIDIA (vendor 0x10de) is plugged in. Linux only."""
    for device in bus.glob("*"):
        try:
            vendor, kind = (device / "vendor").read_text(), (device / "class").read_text()
        except OSError:
            continue
        if vendor.strip() == "0x10de" and kind.startswith("0x03"):
            return True
    return False


def host(hardware: Hardware) -> Host:
    """Return the machine as a record keeps it."""
    n_cores = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else psutil.cpu_count() or 1
    memory_bytes = psutil.virtual_memory().total
    names = tuple(accelerator.name for accelerator in hardware.accelerators)
    parts = [
        _processor(),
        f"{n_cores} core{'s' if n_cores != 1 else ''}",
        f"{round(memory_bytes / 2**30)} GiB",
        *names,
        f"{platform.system()} {platform.machine()}",
    ]
    return Host(
        machine=", ".join(parts),
        n_cores=n_cores,
        memory_bytes=memory_bytes,
        accelerators=names,
        load_1m=round(os.getloadavg()[0], 2),
    )


def _processor() -> str:
    if platform.system() == "Darwin":
        return _apple_processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _apple_processor() -> str:
    asked = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "Apple"
