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
    try:
        call = ast.parse(f"f({inner})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        call = None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        expected = "expected arguments as (width=256, name='wide')"
        raise ConfigError(f"{option}: {target}: {expected}; received {shown(inner)}")
    names = [each.arg for each in call.keywords]
    if call.args or None in names or len(set(names)) < len(names):
        expected = "expected each argument once, by its name, as (width=256)"
        raise ConfigError(f"{option}: {target}: {expected}; received {shown(inner)}")
    values = {str(each.arg): _read_value(each.value) for each in call.keywords}
    for name, value in values.items():
        if value is None:
            raise ConfigError(f"{option}: {target}: {name}: {VALUE}; received {shown(inner)}")
    return target, values


def _read_value(given: ast.expr) -> str | int | float | bool | None:
    """Return a plain value; None where it is none."""
    try:
        value = ast.literal_eval(given)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, str | int | float | bool) else None


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
    named = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == function]
    if not named or named[-1].decorator_list:
        return
    takes = named[-1].args
    free = [each.arg for each in takes.args]
    known = [*free, *(each.arg for each in takes.kwonlyargs)]
    for name in arguments:
        if name not in known and not takes.kwarg:
            raise ConfigError(f"{where}: {function}: unknown argument: {choice(known, name)}")
    first = [each.arg for each in takes.posonlyargs]
    n_needed = len(first) + len(free) - len(takes.defaults)
    needed = [*[*first, *free][:n_needed]]
    pairs = zip(takes.kwonlyargs, takes.kw_defaults, strict=True)
    needed += [each.arg for each, default in pairs if default is None]
    missing = [name for name in needed if name not in arguments or name in first]
    if missing:
        hint = f"Name a value: {function}({missing[0]}=...)"
        raise ConfigError(f"{where}: {function}: expected the argument {missing[0]!r}. {hint}")
