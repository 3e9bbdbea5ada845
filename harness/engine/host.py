"""What hardware this machine has, asked without any framework."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from harness.engine import machine
from harness.engine.disturbance import load_1m
from harness.errors import ConfigError
from harness.records.observation import Host
from harness.spec.config import Device


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
        return Hardware(
            (Accelerator(_apple_processor(), psutil.virtual_memory().total, None, None),)
        )
    return _nvidia()


def _nvidia() -> Hardware:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if _nvidia_on_the_bus():
            return Hardware(
                (),
                f"an NVIDIA device is on the PCI bus, but no driver answers ({error}). "
                "Install or repair it",
            )
        return Hardware(())
    try:
        driver = pynvml.nvmlSystemGetDriverVersion()
        version = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        cuda = f"{version // 1000}.{version % 1000 // 10}"
        handles = [
            pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())
        ]
        return Hardware(
            tuple(
                Accelerator(
                    pynvml.nvmlDeviceGetName(handle),
                    pynvml.nvmlDeviceGetMemoryInfo(handle).total,
                    driver,
                    cuda,
                )
                for handle in handles
            )
        )
    except pynvml.NVMLError as error:
        return Hardware((), f"NVML answers, but not about its devices ({error}). Repair the driver")
    finally:
        pynvml.nvmlShutdown()


def process_memory(pid: int) -> int | None:
    """Return the bytes that a process holds on all NVIDIA GPUs, reserved ones included.

    None where no driver answers, where it holds none, and where the driver does not say (a
    container that hides pids, WSL).
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        handles = [
            pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())
        ]
        running = [
            process
            for handle in handles
            for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
        ]
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
    held = [
        process.usedGpuMemory
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


def describe_host(hardware: Hardware) -> Host:
    """Return the machine as a record keeps it."""
    n_cores = (
        len(psutil.Process().cpu_affinity())
        if hasattr(psutil.Process, "cpu_affinity")
        else psutil.cpu_count() or 1
    )
    memory_bytes = psutil.virtual_memory().total
    names = tuple(accelerator.name for accelerator in hardware.accelerators)
    quota = machine.quota_cores()
    parts = [
        _processor(),
        f"{n_cores} core{'s' if n_cores != 1 else ''}",
        *([f"quota of {quota:.3g}"] if quota and quota < n_cores else []),
        f"{round(memory_bytes / 2**30)} GiB",
        *names,
        f"{platform.system()} {platform.machine()}",
    ]
    return Host(
        machine=", ".join(parts),
        n_cores=n_cores,
        memory_bytes=memory_bytes,
        accelerators=names,
        driver=next((accelerator.driver for accelerator in hardware.accelerators), None),
        identity=machine.identity(),
        boot=machine.boot(),
        quota_cores=quota,
        load_1m=None if (load := load_1m()) is None else round(load, 2),
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
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "Apple"


def advice(hardware: Hardware, seen: dict[str, Any], environment: str) -> str:
    """Return what to type when a backend cannot use what the machine has; "" otherwise.

    Args:
        hardware: what `detect_hardware` found.
        seen: a backend's own answer, from `harness.engine.ask.inspect_backend`.
        environment: the nox session that builds the backend's environment.
    """
    if "refused" in seen:
        return str(seen["refused"])
    if not hardware.accelerators or any(device != "cpu" for device in seen["devices"]):
        return ""
    first = hardware.accelerators[0]
    if first.cuda is None:
        return "this backend has no build for this accelerator; it runs on the CPU"
    if seen["cuda"] is None:
        return f"a CPU-only build is installed. Run: nox -s {environment} -- --device gpu"
    if int(seen["cuda"].partition(".")[0]) > int(first.cuda.partition(".")[0]):
        return (
            f"the driver ({first.driver}) runs CUDA up to {first.cuda}, "
            f"this build needs {seen['cuda']}. Update the driver"
        )
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES={hidden!r} hides the GPU. Unset it"
    rebuild = f"nox -s {environment} --reuse-venv=never -- --device gpu"
    return f"built for CUDA {seen['cuda']}, and yet it sees no GPU. Build it anew: {rebuild}"


def choose_build(device: Device, hardware: Hardware) -> Literal["cpu", "gpu"]:
    """Return which build of a backend belongs here: for CUDA where a GPU can and may be used.

    Raises:
        ConfigError: a GPU is asked for and there is none: said before gigabytes are downloaded for
            it.
    """
    if device == "gpu" and not hardware.accelerators:
        raise ConfigError(
            "--device gpu: this machine has no accelerator that can be used. "
            f"{hardware.remark or '--device cpu runs there'}"
        )
    return (
        "gpu"
        if device != "cpu" and any(accelerator.cuda for accelerator in hardware.accelerators)
        else "cpu"
    )
