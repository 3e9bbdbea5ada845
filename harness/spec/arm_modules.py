"""The modules of harness/worker/arms, and what each declares, read from their sources."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import choice
from harness.spec.faults import fault

WORKER = Path(__file__).parents[1] / "worker"
ARMS = WORKER / "arms"
OF_OWN_MODELS = "train_step"  # see `harness.spec.own_arms`: no stack's arm


def check_module(value: object) -> object:
    """Return the name of a module if it has an arm's verbs.

    Misspelt, it would look like a broken environment.
    """
    if value in _arm_modules():
        return value
    raise fault(choice(_arm_modules(), value))


@cache
def _arm_modules() -> tuple[str, ...]:
    known = [
        file
        for file in sorted(ARMS.rglob("*.py"))
        if "\ndef epoch(" in file.read_text(encoding="utf-8") and file.parent.name != OF_OWN_MODELS
    ]
    return tuple(".".join(file.relative_to(ARMS).with_suffix("").parts) for file in known)


@cache
def read_declaration(module: str, name: str) -> dict[str, tuple[Any, ...]]:
    """Return a literal that an arm's module declares; empty where it declares none.

    It is read from the source: here no framework can be imported.

    OPTIONS: what backends.toml may ask of it, by name, and the values it knows, its default first.
    EXPRESSES: what of a spec it can express, by key, where that is not everything.
    """
    source = (ARMS / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and [
            getattr(target, "id", "") for target in node.targets
        ] == [name]:
            declared: dict[str, tuple[Any, ...]] = ast.literal_eval(node.value)
            return declared
    return {}
