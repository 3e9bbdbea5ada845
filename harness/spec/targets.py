"""What of a user's file is meant by FILE:FUNCTION; the file is read, and nothing in it is run."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.errors import ConfigError, choice, shown
from harness.spec.arguments import check_arguments


@dataclass(frozen=True, kw_only=True)
class Target:
    """A function in a user's file."""

    name: str  # as it was typed
    file: Path
    function: str


@dataclass(frozen=True, kw_only=True)
class ModelSource(Target):
    """What builds a user's own model; without a function, a file that Keras saved."""

    arguments: dict[str, Any]
    sha256: str  # of the file, and of what it imports from beside it


def parse_target(
    option: str,
    text: str,
    folder: Path | None = None,
    arguments: Mapping[str, Any] = MappingProxyType({}),
) -> Target:
    """Return the function that "FILE:FUNCTION" names; the file is read, and not run.

    Args:
        option: or key, for a message.
        text: FILE:FUNCTION.
        folder: that the file's name begins at; by default the working folder.
        arguments: that the function will be given, by name.

    Raises:
        ConfigError: no such file, no such function in it, or it does not take those arguments.
    """
    name, colon, function = text.rpartition(":")
    if not colon or not function.isidentifier():
        raise ConfigError(
            f"{option}: expected FILE:FUNCTION, as my_model.py:build; received {shown(text)}"
        )
    file = (folder or Path.cwd()).joinpath(name).resolve()
    body = _parse_file(file, f"{option}: {name}")
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    others = [node for node in body if not isinstance(node, ast.FunctionDef)]
    known = {*functions, *_names_in(others), *_imported_by(body)}
    if function not in known and "*" not in known:
        raise ConfigError(f"{option}: {name}: no such function: {choice(functions, function)}")
    check_arguments(f"{option}: {name}", body, function, arguments)
    return Target(name=text, file=file, function=function)


def _parse_file(file: Path, where: str) -> list[ast.stmt]:
    """Return the statements of a file, without running it."""
    try:
        return ast.parse(file.read_text(encoding="utf-8")).body
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read ({error.strerror})") from None
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        reason = getattr(error, "msg", error)
        raise ConfigError(f"{where}{line}: not valid Python: {reason}") from None


def _names_in(statements: list[ast.stmt]) -> set[str]:
    parts = ast.walk(ast.Module(statements, []))
    return {part.id for part in parts if isinstance(part, ast.Name)}


def _imported_by(statements: list[ast.stmt]) -> set[str]:
    """Return what `from MODULE import NAME` binds, "*" included."""
    imports = [
        node for node in ast.walk(ast.Module(statements, [])) if isinstance(node, ast.ImportFrom)
    ]
    return {alias.asname or alias.name for node in imports for alias in node.names}
