"""The options of `harness setup`. No `from __future__ import annotations`: typer reads them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from harness.cli.device_options import DeviceOptions
from harness.cli.options import ConfigOptions, Texts

INSTALLER = "auto: uv where there is one, else pip, and pip where uv fails."
ALLOW_LARGE = "Take PyTorch's build for a GPU, several gigabytes, where no other is found."


@dataclass(frozen=True, kw_only=True)
class SetupOptions(DeviceOptions, ConfigOptions):
    """Of `harness setup`."""

    backends: Annotated[Texts, Argument(help="As in backends.toml; all where none is named.")] = (
        None
    )
    gpu: Annotated[bool, Option("--gpu", help="The same as --device gpu.")] = False
    installer: Annotated[Literal["auto", "uv", "pip"], Option(help=INSTALLER)] = "auto"
    constraint: Annotated[Path | None, Option(help="pip's file of versions to keep to.")] = None
    allow_large: Annotated[bool, Option("--allow-large", help=ALLOW_LARGE)] = False
    anew: Annotated[bool, Option("--anew", help="Make it anew, though it is there.")] = False
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what would be made.")] = False
