"""Whether arms can train one model on several devices: said before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import ConfigError
from harness.job.arm import ArmId
from harness.spec.arm_source import OF_OWN_MODELS, read_declaration

OF_OWN = {
    "jax": ("keras", "lean", "compiled"),
    "tensorflow": ("keras", "lean"),
    "torch": ("lean",),
}
"""The arms of a model of the user's own that train it on several devices, by framework."""
SILENT = (
    "keras.distribution.DataParallel does nothing on PyTorch, and says nothing (Keras 3.15.1): "
    "fit would train on one device"
)
NO_SUM = (
    "XLA on TensorFlow adds nothing up over devices, and the train_step of a model of your own "
    "does that inside its one program"
)
NO_GRAPH = "an update is one graph on PyTorch, and a sum over processes is no part of it"
ONE_ONLY = "it trains on one device only"
OPTION = "--replicas"


def check_arms(
    arms: Sequence[ArmId], n_replicas: int, folder: Path | None, where: str = OPTION
) -> None:
    """Return if each of these arms can train one model on so many devices.

    Args:
        arms: that are asked for.
        n_replicas: how many devices.
        folder: that of backends.toml.
        where: the number was said, for a message.

    Raises:
        ConfigError: one cannot; says which can.
    """
    able = [arm.name for arm in arms if _can(arm, folder)]
    for arm in arms if n_replicas > 1 else ():
        if arm.name not in able:
            others = f"Name {', '.join(able)}" if able else "docs/devices.md says which arms can"
            raise ConfigError(f"{where} {n_replicas}: {arm.name}: {why_not(arm)}. {others}")


def why_not(arm: ArmId) -> str:
    """Return why an arm that cannot train one model on several devices does not."""
    if arm.framework == "torch" and arm.arm == "keras":
        return SILENT
    if arm.module != OF_OWN_MODELS:
        return ONE_ONLY
    return NO_SUM if arm.framework == "tensorflow" else NO_GRAPH


def check_batches(n_replicas: int, sizes: Sequence[int], where: str = OPTION) -> None:
    """Return if batches of these sizes have as many samples for each of the devices.

    Where they have not, a mean of the devices' means is not the mean over the batch.

    Args:
        n_replicas: how many devices.
        sizes: of the batches.
        where: the number was said, for a message.

    Raises:
        ConfigError: one has not; says which numbers of devices divide all of them.
    """
    for size in sizes:
        if size % n_replicas:
            known = range(2, min(sizes) + 1)
            fitting = [str(n) for n in known if not any(each % n for each in sizes)][:4]
            hint = f"Take {fitting[0]}" if fitting else "Take another batch size"
            raise ConfigError(
                f"{where}: expected a number that divides each batch, of "
                f"{' and '.join(map(str, sizes))} samples, as {', '.join(fitting) or 'none does'}; "
                f"received {n_replicas}. {hint}"
            )


def batch_sizes(n_samples: int, batch_size: int) -> tuple[int, ...]:
    """Return the sizes of an epoch's batches: of a full one, and of the short one if there is."""
    full, short = min(batch_size, n_samples), n_samples % batch_size
    return (full, short) if short and short != full else (full,)


def _can(arm: ArmId, folder: Path | None) -> bool:
    """Say whether an arm declares that it trains on several devices, with the options it has."""
    if arm.module == OF_OWN_MODELS:
        return arm.arm in OF_OWN.get(arm.framework, ())
    declared = read_declaration(arm.module, "REPLICAS", folder)
    if arm.framework not in declared:
        return False
    options = dict(arm.options)
    needed = (each.partition("=") for each in declared[arm.framework])
    return all(options.get(name, value) == value for name, _, value in needed)
