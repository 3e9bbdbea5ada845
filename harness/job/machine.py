"""This machine as a record keeps it, and which one it is: virtual ones of one size look alike.

The machine's own id and that of its present boot are kept as digests under a salt of this
project's: a record tells whether two machines are one, and tells the id to nobody.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness.job.accelerators import apple_processor, detect_hardware, memory_bytes
from harness.job.answers import Host
from harness.job.cores import cores_of, text_of

SALT = b"keras-backend-harness: machine"
UNBORN = "uninitialized"  # what systemd writes before the first boot
PROC, SYS, ETC, VAR = Path("/proc"), Path("/sys"), Path("/etc"), Path("/var")


def describe_host() -> Host:
    """Return this machine as a record keeps it, asked without any framework."""
    hardware, quota = detect_hardware(), quota_cores()
    n_cores, n_bytes = len(cores_of(os.getpid())), memory_bytes()
    names = tuple(accelerator.name for accelerator in hardware.accelerators)
    load = load_1m()
    parts = [
        _processor(),
        f"{n_cores} core{'s' if n_cores != 1 else ''}",
        *([f"quota of {quota:.3g}"] if quota and quota < n_cores else []),
        f"{round(n_bytes / 2**30)} GiB",
        *names,
        f"{platform.system()} {platform.machine()}",
    ]
    return Host(
        machine=", ".join(parts),
        n_cores=n_cores,
        memory_bytes=n_bytes,
        accelerators=names,
        driver=next((accelerator.driver for accelerator in hardware.accelerators), None),
        identity=identity(),
        boot=boot(),
        quota_cores=quota,
        load_1m=None if load is None else round(load, 2),
    )


def free_memory_bytes(proc: Path = PROC, sys: Path = SYS) -> int:
    """Return the bytes of memory that can still be had; all of the machine's where nobody says.

    Linux says it of itself, and version 2 of its control groups of a container: what they hold of
    files that were read can be had too.

    Args:
        proc: where the system shows its processes.
        sys: where the system shows its devices.
    """
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text_of(proc / "meminfo"), re.MULTILINE)
    free = [int(found[1]) * 1024 if found else memory_bytes()]
    for folder in cpu_groups("self", proc, sys):
        names = ("memory.max", "memory.current")
        numbers = [word for name in names for word in text_of(folder / name).split()]
        files = re.search(r"^inactive_file (\d+)", text_of(folder / "memory.stat"), re.MULTILINE)
        if len(numbers) == 2 and all(word.isdecimal() for word in numbers):
            most, held = map(int, numbers)
            free.append(max(0, most - held + (int(files[1]) if files else 0)))
    return min(free)


def load_1m() -> float | None:
    """Return the load average over the last minute, None where the system does not say."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _processor() -> str:
    if platform.system() == "Darwin":
        return apple_processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def identity(etc: Path = ETC, var: Path = VAR) -> str | None:
    """Return a digest of the machine's own id; None where it has none, as in many containers."""
    if platform.system() == "Darwin":
        command = ("ioreg", "-rd1", "-c", "IOPlatformExpertDevice")
        return _digest(_found(r'"IOPlatformUUID" = "([^"]+)"', *command))
    files = (etc / "machine-id", var / "lib/dbus/machine-id")
    known = [text for file in files if (text := text_of(file).strip()) not in ("", UNBORN)]
    return _digest(known[0] if known else "")


def boot(proc: Path = PROC) -> str | None:
    """Return a digest of this boot's id, which all containers of a machine share; None: no id."""
    if platform.system() == "Darwin":
        return _digest(_found(r"(\S+)", "sysctl", "-n", "kern.bootsessionuuid"))
    return _digest(text_of(proc / "sys/kernel/random/boot_id").strip())


def quota_cores(proc: Path = PROC, sys: Path = SYS) -> float | None:
    """Return how many cores' time the control groups of this process leave it; None: no quota.

    **Differs**: version 1 says -1 where there is none, and has a file for the period; version 2
    says "max".
    """
    quotas = []
    for folder in cpu_groups("self", proc, sys):
        names = ("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us")
        numbers = [word for name in names for word in text_of(folder / name).split()]
        if len(numbers) == 2 and all(word.isdecimal() and int(word) for word in numbers):
            quotas.append(int(numbers[0]) / int(numbers[1]))
    return min(quotas, default=None)


def cpu_groups(process: str, proc: Path, sys: Path) -> Iterator[Path]:
    """Yield the folders of the control groups that count a process's time, from its own upwards.

    In a container the path may not exist below the mount, whose own root is then the group.

    Args:
        process: its pid, or "self".
        proc: where the system shows its processes.
        sys: where the system shows its devices.
    """
    mount = sys / "fs/cgroup"
    for line in text_of(proc / process / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        names = (controllers, "cpu") if controllers else ("unified", "")
        root = next((folder for name in names if (folder := mount / name).is_dir()), mount)
        inner = root / path.lstrip("/")
        for folder in (inner, *inner.parents):
            yield folder
            if folder == root:
                break


def _digest(text: str) -> str | None:
    return hashlib.sha256(SALT + b"\0" + text.encode()).hexdigest() if text else None


def _found(pattern: str, *command: str) -> str:
    """Return what a pattern finds in what a program prints; "" where it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    match = re.search(pattern, done.stdout)
    return match[1] if match else ""
