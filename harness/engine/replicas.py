"""Whether arms can train one model on several devices: said before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import ConfigError
from harness.job.arm import ArmId
from harness.spec.arm_source import OF_OWN_MODELS, read_declaration

OF_FIT = {"jax": ("arm=keras",), "tensorflow": ("arm=keras",)}  # a user's own model, by `fit`
SILENT = (
    "keras.distribution.DataParallel does nothing on PyTorch, and says nothing (Keras 3.15.1): "
    "fit would train on one device"
)


def check_arms(arms: Sequence[ArmId], n_replicas: int, folder: Path | None) -> None:
    """Return if each of these arms can train one model on so many devices.

    Args:
        arms: that are asked for.
        n_replicas: how many devices.
        folder: that of backends.toml.

    Raises:
        ConfigError: one cannot; says which can.
    """
    able = [arm.name for arm in arms if _can(arm, folder)]
    for arm in arms if n_replicas > 1 else ():
        if arm.name not in able:
            silent = arm.framework == "torch" and arm.arm == "keras"
            why = SILENT if silent else "it trains on one device only"
            others = f"Name {', '.join(able)}" if able else "docs/devices.md says which arms can"
            raise ConfigError(f"--replicas {n_replicas}: {arm.name}: {why}. {others}")


def check_batches(n_replicas: int, sizes: Sequence[int]) -> None:
    """Return if batches of these sizes have as many samples for each of the devices.

    Where they have not, a mean of the devices' means is not the mean over the batch.

    Raises:
        ConfigError: one has not; says which numbers of devices divide all of them.
    """
    for size in sizes:
        if size % n_replicas:
            known = range(2, min(sizes) + 1)
            fitting = [str(n) for n in known if not any(each % n for each in sizes)][:4]
            hint = f"Type: --replicas {fitting[0]}" if fitting else "Take another batch size"
            raise ConfigError(
                f"--replicas: expected a number that divides each batch, of "
                f"{' and '.join(map(str, sizes))} samples, as {', '.join(fitting) or 'none does'}; "
                f"received {n_replicas}. {hint}"
            )


def batch_sizes(n_samples: int, batch_size: int) -> tuple[int, ...]:
    """Return the sizes of an epoch's batches: of a full one, and of the short one if there is."""
    full, short = min(batch_size, n_samples), n_samples % batch_size
    return (full, short) if short and short != full else (full,)


def _can(arm: ArmId, folder: Path | None) -> bool:
    """Say whether an arm declares that it trains on several devices, with the options it has."""
    declared = (
        OF_FIT if arm.module == OF_OWN_MODELS else read_declaration(arm.module, "REPLICAS", folder)
    )
    if arm.framework not in declared:
        return False
    options = dict(arm.options)
    needed = (each.partition("=") for each in declared[arm.framework])
    return all(options.get(name, value) == value for name, _, value in needed)
