"""How a job reaches its worker: written as JSON, and read back on the other side."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def plain(value: Any) -> Any:
    """Return what `json.dumps` cannot write by itself as what it can, for its `default`."""
    if is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)


def revive(kind: Any, value: Any) -> Any:
    """Return a value of that kind as JSON has it, written by `plain`: nothing is checked."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if value is None:
        return None
    if origin in (types.UnionType, typing.Union):
        return revive(arguments[0], value)
    if is_dataclass(kind):
        hints, make = typing.get_type_hints(kind), typing.cast("Callable[..., Any]", kind)
        return make(**{name: revive(hints[name], each) for name, each in value.items()})
    if origin is dict:
        return {name: revive(arguments[1], each) for name, each in value.items()}
    if origin is tuple:
        return tuple(revive(arguments[0], each) for each in value)
    if kind is SimpleNamespace:
        return namespace(value)
    return kind(value) if kind is Path else value


def namespace(value: Any) -> Any:
    """Return JSON's objects as attributes."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: namespace(each) for name, each in value.items()})
    return [namespace(each) for each in value] if isinstance(value, list) else value
