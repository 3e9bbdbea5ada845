"""The backends.toml of the package, and what another one leaves out.

A file without [specs] or [backends] has the package's. A backend's table that leaves out its
requirements, arms or variables has those of the package's backend of the same framework, so that a
table says only what differs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import harness
from harness.spec.toml import parse_file

TABLES = ("specs", "backends")
KEYS = (
    *("requirements", "arms", "accelerators"),
    *("variables", "cpu_variables", "shared_variables"),
)


def packaged_file() -> Path:
    """Return the backends.toml that comes with this program."""
    return Path(harness.__file__).with_name("backends.toml")


def complete(tables: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return the tables of a backends.toml with what they leave out.

    Args:
        tables: as they are written.
        file: where they are written; the package's own leaves nothing out.
    """
    if file == packaged_file():
        return tables
    own = parse_file(packaged_file())
    whole = {name: own[name] for name in TABLES} | tables
    backends = whole["backends"]
    if isinstance(backends, dict):
        known = own["backends"]
        filled = {name: _fill(name, table, known) for name, table in backends.items()}
        whole["backends"] = filled
    return whole


def _fill(name: str, table: Any, known: dict[str, Any]) -> Any:
    """Return a backend's table with what it leaves out; what is no table is left to be refused."""
    if not isinstance(table, dict):
        return table
    framework = table.get("framework", name)
    own = known.get(framework, {}) if isinstance(framework, str) else {}
    environment = f"train-{re.sub('[^a-z0-9-]+', '-', name.lower())}"[:64]
    if name == framework:  # the package's backend itself
        environment = own.get("environment", environment)
    inherited = {key: own[key] for key in KEYS if key in own}
    return {"environment": environment} | inherited | table


def name_frameworks(backends: Any) -> Any:
    """Return the tables of backends; one that names no framework has that of its own name."""
    if not isinstance(backends, dict):
        return backends
    return {
        name: {"framework": name, **table} if isinstance(table, dict) else table
        for name, table in backends.items()
    }
