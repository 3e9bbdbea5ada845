"""A user's own code in a worker: imported once, with what lies beside it after the environment."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from harness.errors import Refused, is_out_of_memory
from harness.spec.arm_source import file_of, is_own, root_of

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def import_arm(module: str, folder: Path | None) -> ModuleType:
    """Return the module of an arm: one of harness.worker.arms, or a user's own.

    Args:
        module: its name, or its file's.
        folder: that of backends.toml.

    Raises:
        Refused: a user's own raises, or another module of its name comes before it.
    """
    if folder is None or not is_own(module):
        return importlib.import_module(f"harness.worker.arms.{module}")
    file = file_of(module, folder)
    try:
        found = import_file(file) if module.endswith(".py") else _import(module, folder)
    except (Exception, SystemExit) as error:
        logging.exception(module)
        raise Refused(f"{module} {describe_error(error, str(file))}") from None
    if Path(found.__file__ or "").resolve() != file.resolve():
        raise Refused(f"{module}: expected {file}; the environment has {found.__file__}")
    return found


def import_file(file: Path) -> ModuleType:
    """Return a file as a module, run once; what lies beside it can be imported.

    The environment comes first. `python FILE` would look beside the file first: in a clone of Keras
    it would import ./keras.
    """
    name = f"user_{file.stem}"
    if name in sys.modules and sys.modules[name].__file__ == str(file):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise Refused(f"{file}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.append(str(file.parent))
    spec.loader.exec_module(module)
    return module


@contextmanager
def named_errors(what: str, file: Path) -> Iterator[None]:
    """Turn what a user's code raises into a sentence that names it, and its last line in a file."""
    try:
        yield
    except Refused:
        raise
    except (Exception, SystemExit) as error:
        raise Refused(f"{what} {describe_error(error, str(file))}") from None


def describe_error(error: BaseException, file: str) -> str:
    """Return "raised TypeError: its message (file.py:12)", with the last line of that file.

    It begins with "ran out of memory: " where that is what the error says.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == file] or list(frames)
    place = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    message = " ".join(ANSI.sub("", str(error)).partition("Arguments received")[0].split())
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = ". Add it to this backend's requirements in backends.toml"
        if error.name in ("tensorflow", "jax", "torch"):
            hint = ". A model that needs it is one backend's alone"
    said = f"{type(error).__name__}: {message[:400]}{place}{hint}"
    return f"ran out of memory: {said}" if is_out_of_memory(said) else f"raised {said}"


def _import(module: str, folder: Path) -> ModuleType:
    sys.path.append(str(root_of(module, folder)))
    return importlib.import_module(module)
