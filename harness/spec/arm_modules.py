"""What backends.toml may say of an arm: a module with an arm's verbs, and options that it knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo

from harness.errors import choice, printable, shown
from harness.spec.arm_source import (
    BadSource,
    file_of,
    find_faults,
    is_own,
    packaged_arms,
    read_declaration,
)
from harness.spec.faults import fault

LONGEST = 200  # characters of a module's name


def folder_of(info: ValidationInfo) -> Path | None:
    """Return the folder of the backends.toml that is validated; None where it is no file."""
    folder: Path | None = (info.context or {}).get("folder")
    return folder


def check_module(value: object, info: ValidationInfo) -> object:
    """Return the name of a module if it has an arm's verbs.

    Misspelt, it would look like a broken environment.
    """
    known, folder = packaged_arms(), folder_of(info)
    if value not in known:
        if not isinstance(value, str) or printable(value) != value or len(value) > LONGEST:
            raise fault(choice(known, value))
        _check_own(value, folder)
    return value


def _check_own(module: str, folder: Path | None) -> None:
    """Raise where a user's own module is not there, or is no arm."""
    if not is_own(module):
        raise fault(choice(packaged_arms(), module))
    is_file = module.endswith(".py")
    if is_file and (folder is None or Path(module).is_absolute()):
        raise fault(f"expected a file, as from backends.toml's folder; received {shown(module)}")
    file = file_of(module, folder)
    if folder is None or not file.is_file():
        there = [each.name for each in sorted(file.parent.glob("*.py"))]
        what = f"{file.parent}: {choice(there, file.name)}"
        raise fault(what if is_file else choice(packaged_arms(), module))
    if faults := find_faults(file):
        more = f" (and {len(faults) - 1} more)" if faults[1:] else ""
        raise fault(f"{module}: {faults[0]}{more}")


def check_options(module: str, options: Mapping[str, object], folder: Path | None) -> None:
    """Return if a module knows its options.

    Args:
        module: checked.
        options: as backends.toml has them.
        folder: that of backends.toml.
    """
    known = _declared(module, "OPTIONS", folder) if options else {}
    for name, value in options.items():
        if name not in known:
            raise fault(f"options: unknown key: {choice(known, name)}", "key")
        allowed = [(type(each), each) for each in known[name]]  # to `in`, true is 1
        if (type(value), value) not in allowed:
            raise fault(f"options.{name}: {choice(known[name], value)}", "key")


def _declared(module: str, name: str, folder: Path | None) -> dict[str, Any]:
    try:
        return read_declaration(module, name, folder)
    except BadSource as error:
        raise fault(f"module: {module}: {error}", "key") from None
