"""Arms as source: where each one's file is, its verbs, and what it declares. Nothing of it is run.

An arm is a module of harness/worker/arms, or a user's own beside backends.toml: a file, as
"my_arm.py", or a module of a package there, as "my_package.arm".
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import ConfigError

WORKER = Path(__file__).parents[1] / "worker"
ARMS = WORKER / "arms"
PACKAGES = WORKER.parents[1]  # the folder from which harness is imported
OF_OWN_MODELS = "train_step"  # see `harness.spec.own_arms`: no stack's arm
MOST_BYTES = 2**20  # of a source
VERBS = {  # of every arm, with their arguments
    "build": ("spec", "weights", "options"),
    "place": ("x", "y"),
    "epoch": ("state", "data"),
    "predict": ("state", "x"),
    "export": ("state",),
    "wait": ("state",),
    "facts": ("state",),
    "slots": ("state",),
    "resume": ("state", "weights", "slots", "n_updates"),
}


class BadSource(Exception):
    """A source that cannot be read: why."""


@cache
def packaged_arms() -> tuple[str, ...]:
    """Return the names of the arms' modules in harness/worker/arms."""
    found = (
        file
        for file in sorted(ARMS.rglob("*.py"))
        if "\ndef epoch(" in file.read_text(encoding="utf-8") and file.parent.name != OF_OWN_MODELS
    )
    return tuple(".".join(file.relative_to(ARMS).with_suffix("").parts) for file in found)


def is_own(module: str) -> bool:
    """Say whether a module is a user's own."""
    return module not in (*packaged_arms(), OF_OWN_MODELS)


def file_of(module: str, folder: Path | None) -> Path:
    """Return where the source of an arm's module is, or would be.

    Args:
        module: its name, or a file's.
        folder: that of backends.toml, for a user's own.
    """
    if not is_own(module):
        return ARMS / f"{module.replace('.', '/')}.py"
    return (folder or Path()) / _as_file(module)


def root_of(module: str, folder: Path) -> Path:
    """Return the folder from which a user's own module imports what lies beside it."""
    return file_of(module, folder).parent if module.endswith(".py") else folder


def find_faults(file: Path) -> list[str]:
    """Return a sentence for each verb that a source lacks or has with other arguments."""
    try:
        found = _signatures(file)
    except BadSource as error:
        return [str(error)]
    return [
        f"expected a function {_call(name, expected)}; "
        f"received {_call(name, found[name]) if name in found else 'none'}"
        for name, expected in VERBS.items()
        if found.get(name) != expected
    ]


def check_arm(module: str | Path, folder: str | Path = ".") -> None:
    """Return if a module is an arm: every verb is there, with its arguments.

    Its source is read, and none of it is run, so no framework is needed.

    Args:
        module: its file, or its name as backends.toml has it.
        folder: that of backends.toml.

    Raises:
        AssertionError: a verb is missing or has other arguments; a line for each.
        harness.errors.ConfigError: there is no such file.
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    file = file_of(str(module), Path(folder))
    if not file.is_file():
        raise ConfigError(f"{module}: no such file in {Path(folder).absolute()}")
    if faults := find_faults(file):
        raise AssertionError("\n".join(f"{module}: {fault}" for fault in faults))


def read_declaration(module: str, name: str, folder: Path | None = None) -> dict[str, Any]:
    """Return a literal that an arm's module declares; empty where it declares none.

    OPTIONS: what backends.toml may ask of it, by name, and the values it knows, its default first.
    EXPRESSES: what of a spec it can express, by key, where that is not everything.
    REPLICAS: the frameworks on which it trains on several devices, and the options that this needs.

    Args:
        module: its name, or a file's.
        name: of the literal.
        folder: that of backends.toml, for a user's own.

    Raises:
        BadSource: it is no table of tuples.
    """
    for node in _parse(file_of(module, folder)).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if [getattr(target, "id", "") for target in targets] == [name]:
            return _literal(node, name)
    return {}


def own_sources(module: str, folder: Path) -> list[Path]:
    """Return the file of a user's own arm, and of all that it imports from beside it."""
    return sources_of(file_of(module, folder), root_of(module, folder))


def digest_sources(file: Path) -> str:
    """Return the SHA-256 of a user's file, and of all that it imports from beside it.

    Of a file that imports nothing there it is that of its bytes.
    """
    digests = {
        each.relative_to(file.parent).as_posix(): hashlib.sha256(each.read_bytes()).hexdigest()
        for each in sources_of(file, file.parent)
    }
    if len(digests) == 1:
        return digests[file.name]
    lines = (f"{name} {digest}\n" for name, digest in digests.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sources_of(file: Path, root: Path) -> list[Path]:
    """Return a file, and all that it imports from below a folder, however indirectly."""
    waiting = [file]
    found: dict[Path, None] = {}
    while waiting:
        file = waiting.pop()
        if file not in found:
            found[file] = None
            waiting += [source for name in _imports(file, root) for source in _files(name, root)]
    return sorted(found)


def _as_file(module: str) -> str:
    return module if module.endswith(".py") else f"{module.replace('.', '/')}.py"


def _call(name: str, arguments: tuple[str, ...]) -> str:
    return f"{name}({', '.join(arguments)})"


def _literal(node: ast.stmt, name: str) -> dict[str, Any]:
    try:
        found = ast.literal_eval(getattr(node, "value"))  # noqa: B009
    except (ValueError, TypeError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, tuple) for each in found.values()):
        raise BadSource(f"line {node.lineno}: expected {name} = {{NAME: (VALUE, ...)}}")
    return found


def _parse(file: Path) -> ast.Module:
    """Return the tree of a source.

    Raises:
        BadSource: it cannot be read, or is no Python.
    """
    try:
        with file.open("rb") as source:
            content = source.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadSource(f"cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise BadSource(f"cannot be read (expected at most {MOST_BYTES >> 20} MiB)")
    try:
        return ast.parse(content)
    except SyntaxError as error:
        raise BadSource(f"line {error.lineno or 1}: not valid Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadSource(f"not valid Python: {error}") from None


def _signatures(file: Path) -> dict[str, tuple[str, ...]]:
    """Return the arguments of a source's functions, those that it imports by name among them."""
    found: dict[str, tuple[str, ...]] = {}
    for node in _parse(file).body:
        if isinstance(node, ast.FunctionDef):
            several = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            found[node.name] = tuple(argument.arg for argument in several)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            known = _functions_of(node.module, file)
            taken = {each.asname or each.name: known.get(each.name) for each in node.names}
            found |= {name: arguments for name, arguments in taken.items() if arguments is not None}
    return found


def _functions_of(module: str, importer: Path) -> dict[str, tuple[str, ...]]:
    """Return the functions of a module of the harness's, or of one beside who imports it."""
    root = PACKAGES if module.startswith("harness.") else importer.parent
    file = root / _as_file(module)
    return _signatures(file) if file.is_file() and file != importer else {}


def _imports(file: Path, root: Path) -> Iterator[str]:
    """Yield the names that a source imports, as from the root; nothing of one that is no Python."""
    try:
        tree = _parse(file)
    except BadSource:
        return
    package = file.relative_to(root).parts if file.is_relative_to(root) else ()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: -node.level] if node.level else ()
            base = ".".join((*above, *([node.module] if node.module else [])))
            yield from (f"{base}.{alias.name}".strip(".") for alias in node.names)


def _files(name: str, root: Path) -> Iterator[Path]:
    """Yield the files below the root that an import of that name runs."""
    place = root
    for part in name.split("."):
        place = place / part
        for file in (place.with_name(f"{part}.py"), place / "__init__.py"):
            if file.is_file():
                yield file
