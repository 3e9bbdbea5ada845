"""Options that say on which devices, and on how many of them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from typer import Option

GPU = "With gpu, a backend that sees none is an error."
REPLICAS = "Train one model on so many devices, a part of each batch on each: docs/devices.md."


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """Which device."""

    device: Annotated[Literal["auto", "cpu", "gpu"], Option(help=GPU)] = "auto"


@dataclass(frozen=True, kw_only=True)
class ReplicaOptions(DeviceOptions):
    """Which devices, and how many."""

    replicas: Annotated[int | None, Option(help=REPLICAS)] = None
