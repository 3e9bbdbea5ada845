"""Arguments of a user's function, as in my_model.py:build(width=256): read, and never evaluated."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Any

from harness.errors import ConfigError, choice, shown

CALL = re.compile(r"(.*?:[^\W\d]\w*)\((.*)\)", re.DOTALL)
MOST_CHARACTERS = 1000
VALUE = "expected text, a number, True or False"
MOST = 2**63
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def without_arguments(text: str) -> str:
    """Return FILE:FUNCTION of a text that may have arguments in parentheses after it."""
    match = CALL.fullmatch(text)
    return match[1] if match else text


def with_arguments(text: str, arguments: Mapping[str, Any]) -> str:
    """Return FILE:FUNCTION(NAME=VALUE, ...), in the order of the names; as it is without any."""
    several = ", ".join(f"{name}={arguments[name]!r}" for name in sorted(arguments))
    return f"{text}({several})" if several else text


def split_arguments(option: str, text: str) -> tuple[str, dict[str, Any]]:
    """Return FILE:FUNCTION of FILE:FUNCTION(NAME=VALUE, ...), and the values by name.

    Args:
        option: or key, for a message.
        text: as it was typed; without parentheses there are no arguments.

    Raises:
        ConfigError: what stands in the parentheses is no list of named plain values.
    """
    match = CALL.fullmatch(text)
    if not match:
        return text, {}
    target, inner = match.groups()
    if len(inner) > MOST_CHARACTERS:
        most = f"expected at most {MOST_CHARACTERS} characters in the parentheses"
        raise ConfigError(f"{option}: {target}: {most}; received {len(inner)}")
    given = _read_call(inner)
    if given is None:
        expected = "expected each argument once, by its name, as (width=256, kind='wide')"
        raise ConfigError(f"{option}: {target}: {expected}; received {shown(inner)}")
    values = {name: _read_value(value) for name, value in given.items()}
    for name, value in values.items():
        if value is None:
            raise ConfigError(f"{option}: {target}: {name}: {VALUE}; received {shown(inner)}")
    return target, values


def _read_call(inner: str) -> dict[str, ast.expr] | None:
    """Return what stands in a call's parentheses by name; None where that is no such call."""
    try:
        call = ast.parse(f"f({inner})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        return None
    given = {each.arg: each.value for each in call.keywords}
    named = {name: value for name, value in given.items() if name and NAME.fullmatch(name)}
    return named if len(named) == len(call.keywords) else None


def _read_value(given: ast.expr) -> str | int | float | bool | None:
    """Return a plain value; None where it is none."""
    try:
        value = ast.literal_eval(given)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    if isinstance(value, str | bool):
        return value
    return value if isinstance(value, int | float) and abs(value) < MOST else None


def check_arguments(
    where: str, body: Iterable[ast.stmt], function: str, arguments: Mapping[str, Any]
) -> None:
    """Check that a function takes arguments of those names, and needs no others.

    A function that is decorated, assigned or imported is left to its call.

    Args:
        where: it is named, for a message.
        body: the statements of its file.
        function: its name.
        arguments: that it is to be given.

    Raises:
        ConfigError: it does not take one, or needs another.
    """
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    if function not in functions or functions[function].decorator_list:
        return
    takes = functions[function].args
    known = [each.arg for each in (*takes.args, *takes.kwonlyargs)]
    unknown = [] if takes.kwarg else [name for name in arguments if name not in known]
    if unknown:
        raise ConfigError(f"{where}: {function}: unknown argument: {choice(known, unknown[0])}")
    missing = sorted({*_needed(takes)} - {*arguments})
    if missing:
        hint = f"Name a value: {function}({missing[0]}=...)"
        raise ConfigError(f"{where}: {function}: expected the argument {missing[0]!r}. {hint}")


def _needed(takes: ast.arguments) -> list[str]:
    """Return the names of a function's arguments that have no default."""
    first = [each.arg for each in (*takes.posonlyargs, *takes.args)]
    pairs = zip(takes.kwonlyargs, takes.kw_defaults, strict=True)
    named = [each.arg for each, default in pairs if default is None]
    return first[: len(first) - len(takes.defaults)] + named
