"""The verbs as functions of Python: `from harness import choose, bench`.

Each takes what the command takes: models and arms in order, options by name, as `no_parity=True`
for --no-parity. What it returns prints as the command's table. Errors are those of
`harness.errors`; a run that failed, or a model that departs, is none: see `exit_code`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import typer

from harness.cli.answer import Answer
from harness.cli.surroundings import UsageError, check_arguments, check_working_folder
from harness.errors import ConfigError, choice


def choose(*names: object, **options: object) -> Answer:
    """Say which backend should train a model: is it one model everywhere, which is fastest?

    As `harness choose my_model.py`: `choose("my_model.py", budget="10m")`.
    """
    return _run("choose", names, options)


def train(*names: object, **options: object) -> Answer:
    """Train a spec or a model under each backend, from the same weights: a table of the runs.

    As `harness train`: `train("my_model.py", "jax/keras", epochs=2, seed=[0, 1])`.
    """
    return _run("train", names, options)


def parity(*names: object, **options: object) -> Answer:
    """Say whether every arm, or a model on every backend, computes the same.

    As `harness parity`: `parity("my_model.py", "jax", "torch")`.
    """
    return _run("parity", names, options)


def bench(*names: object, **options: object) -> Answer:
    """Time every arm against the others, or show the newest session.

    As `harness bench`: `bench("jax", "torch/lean", generations=6)`, `bench(show=True)`.
    """
    return _run("bench", names, options)


def gate(**options: object) -> Answer:
    """Say whether an arm has become slower since an earlier session.

    As `harness gate`: `gate(against="main", tolerance=0.05)`.
    """
    return _run("gate", (), options)


def _run(verb: str, names: tuple[object, ...], options: Mapping[str, object]) -> Answer:
    """Return what a verb finds, and write it where an option names a file.

    Raises:
        HarnessError: as the command says it in a sentence.
    """
    from harness.cli.output import write_answer

    check_working_folder()
    command = _commands()[verb]
    arguments = [*_named(verb, command, options), "--", *map(str, names)]
    check_arguments(arguments)
    try:
        with command.make_context(verb, arguments) as context:
            answer: Answer = command.invoke(context)
    except UsageError as error:
        raise ConfigError(f"{verb}: {error.format_message()}") from None
    write_answer(answer)
    return answer


@cache
def _commands() -> Any:
    from harness.cli.main import app

    return typer.main.get_command(app).commands  # type: ignore[attr-defined]


def _named(verb: str, command: Any, given: Mapping[str, object]) -> Iterator[str]:
    """Yield the options that are given by name as they are typed.

    Raises:
        ConfigError: the verb has no such option.
    """
    known = {
        text.removeprefix("--").replace("-", "_"): (text, each)
        for each in command.params
        for text in each.opts
        if text.startswith("--")
    }
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"{verb}: unknown argument: {choice(known, name)}")
        text, option = known[name]
        if option.is_flag:
            yield from [text] if value else option.secondary_opts
            continue
        several = value if isinstance(value, list | tuple) else [value]
        yield from (f"{text}={each}" for each in several if each is not None)
