"""A verb's function, which takes one value with all options, as typer reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from inspect import Parameter, Signature
from typing import Any, TypeVar

from harness.cli.answer import Answer

Options = TypeVar("Options")
Verb = Callable[[Options], Answer | None]


def command(kind: type[Options]) -> Callable[[Verb[Options]], Callable[..., Answer | None]]:
    """Return a decorator for a verb with the options of a class of `harness.cli.options`.

    What it returns has a parameter for each field, which typer makes an option or an argument of.
    What the verb returns is shown by `harness.cli.surroundings`.
    """
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    own_first = dict.fromkeys(
        name for each in kind.__mro__ for name in getattr(each, "__annotations__", {})
    )
    parameters = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if known[name].default is MISSING else known[name].default,
            annotation=known[name].type,
        )
        for name in own_first
    ]

    def decorate(run: Verb[Options]) -> Callable[..., Answer | None]:
        def call(**given: Any) -> Answer | None:
            return run(kind(**given))

        call.__name__, call.__doc__ = run.__name__, run.__doc__
        call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        return call

    return decorate
