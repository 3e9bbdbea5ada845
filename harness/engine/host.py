"""What to type when a backend cannot use what this machine has, and which build belongs here."""

from __future__ import annotations

import os
from typing import Literal

from harness.environments.find import how_to_mend, setup_command
from harness.errors import ConfigError
from harness.job.accelerators import Hardware
from harness.job.answers import Environment, Refusal
from harness.spec.config import Backend, Device


def advice(hardware: Hardware, seen: Environment | Refusal, name: str, backend: Backend) -> str:
    """Return what to type when a backend cannot use what the machine has; "" otherwise.

    Args:
        hardware: what `detect_hardware` found.
        seen: a backend's own answer.
        name: of the backend.
        backend: as in backends.toml.
    """
    if isinstance(seen, Refusal):
        return seen.reason
    if not hardware.accelerators or any(device != "cpu" for device in seen.devices):
        return ""
    first = hardware.accelerators[0]
    if first.cuda is None:
        return "this backend has no build for this accelerator; it runs on the CPU"
    if seen.cuda is None:
        command = setup_command(name, backend, gpu=True)
        mend = how_to_mend(name, backend) if backend.python else f"Run: {command}"
        return f"a CPU-only build is installed. {mend}"
    if int(seen.cuda.partition(".")[0]) > int(first.cuda.partition(".")[0]):
        return (
            f"the driver ({first.driver}) runs CUDA up to {first.cuda}, "
            f"this build needs {seen.cuda}. Update the driver"
        )
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES={hidden!r} hides the GPU. Unset it"
    rebuild = setup_command(name, backend, gpu=True, anew=True)
    return f"built for CUDA {seen.cuda}, and yet it sees no GPU. Build it anew: {rebuild}"


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
