"""What a user wants compared.

A function in a file that builds a model, another that returns a batch, and where they run.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError, choice, shown
from harness.job.asked import Target
from harness.spec import config, project
from harness.spec.config import Backend, Device

LIMIT_S = 600.0  # for one worker
TRAINS = "keras_fit"  # the module of the arm that a backend with Keras has


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What is to be compared, and where."""

    model: Target
    batch: Target | None
    backends: Mapping[str, Backend]
    root: Path  # the project's folder
    seed: int = 0
    device: Device = "auto"
    threads: int | str = "auto"
    thread_twins: bool = True
    time_limit_s: float = LIMIT_S


def plan_model_check(
    model: str,
    batch: str | None = None,
    backends: tuple[str, ...] = (),
    file: Path | None = None,
    *,
    seed: int = 0,
    device: Device = "auto",
    threads: int | str | None = None,
    thread_twins: bool = True,
    time_limit_s: float | None = None,
) -> ModelPlan:
    """Return what is to be compared, checked as far as that goes without running any of it.

    Args:
        model: FILE:FUNCTION, which returns a compiled keras.Model.
        batch: FILE:FUNCTION, which returns (x, y); None to have one drawn from the seed.
        backends: names; all that have Keras where empty.
        file: a backends.toml; by default the nearest one from here upwards, or else the package's.
        seed: of the batch and of the twins.
        device: "auto", "cpu" or "gpu".
        threads: "auto", or a number of cores.
        thread_twins: whether each backend runs a second time, on one core.
        time_limit_s: for one worker.

    Raises:
        ConfigError: something to mend and type again; says what.
    """
    root, known = project.open_project(file)
    protocol = config.override_protocol(
        known.protocol, seeds=(seed,), threads=threads, time_limit_s=time_limit_s
    )
    chosen = _choose_backends(known.backends, backends)
    limit_s = protocol.time_limit_s if time_limit_s else LIMIT_S
    targets = parse_target("--model", model), parse_target("--batch", batch) if batch else None
    return ModelPlan(*targets, chosen, root, seed, device, protocol.threads, thread_twins, limit_s)


def _choose_backends(backends: Mapping[str, Backend], names: tuple[str, ...]) -> dict[str, Backend]:
    """Return the backends of those names that have Keras; all that have where none is named."""
    able = {
        name: backend
        for name, backend in backends.items()
        if any(arm.module == TRAINS for arm in backend.arms.values())
    }
    for name in names:
        if name not in able:
            raise ConfigError(f"backend: {choice(able, name)}")
    chosen = {name: able[name] for name in names or able}
    if len(chosen) < 2:
        received = ", ".join(chosen) or "none"
        raise ConfigError(
            f"backends: expected at least two of {', '.join(able)}; received {received}"
        )
    return chosen


def parse_target(option: str, text: str) -> Target:
    """Return the function that "FILE:FUNCTION" names; the file is read, and not run.

    Raises:
        ConfigError: no such file, or no such function in it.
    """
    name, colon, function = text.rpartition(":")
    if not colon or not function.isidentifier():
        raise ConfigError(
            f"{option}: expected FILE:FUNCTION, as my_model.py:build; received {shown(text)}"
        )
    file = Path(name).resolve()
    body = _parse_file(file, f"{option}: {name}")
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    others = [node for node in body if not isinstance(node, ast.FunctionDef)]
    known = {*functions, *_names_in(others), *_imported_by(body)}
    if function not in known and "*" not in known:
        raise ConfigError(f"{option}: {name}: no such function: {choice(functions, function)}")
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
