"""A user's model: what a function builds, or a file that Keras saved holds.

A file is loaded on any backend, whichever saved it; code in it is not run.
"""

from __future__ import annotations

import re
from typing import Any

import keras

from harness.errors import Refused
from harness.spec.targets import ModelSource, Target
from harness.worker.own_code import describe_error
from harness.worker.user_inputs import Unusable, call_function, check_model

IN_A_FUNCTION = "Load or build it in a function, and name that: FILE.py:build"
UNKNOWN = re.compile(r"Could not locate (\w+) '([^']{1,100})'")


def make_model(source: ModelSource, seed: int, where: str) -> Any:
    """Return the compiled model that a user's function builds, or that a file holds.

    Args:
        source: the file, and the function with what it is given.
        seed: of Keras's draws.
        where: it is named, for a message.

    Raises:
        Unusable: it is no compiled model.
        Refused: it cannot be made here.
    """
    keras.utils.set_random_seed(seed)
    made = call_function(source, source.arguments) if source.function else load_saved(source)
    return check_model(made, where)


def load_saved(source: Target) -> Any:
    """Return the model in a file that Keras saved.

    **Differs**: only on PyTorch, Keras 3.15 puts a class of its own in the place of each optimizer,
    and saves that class's module, which cannot be imported where PyTorch is missing. So Keras's own
    optimizers are named here.

    Raises:
        Unusable: it holds what Keras alone cannot make again.
        Refused: it cannot be loaded here.
    """
    kinds = {name: kind for name, kind in vars(keras.optimizers).items() if isinstance(kind, type)}
    try:
        return keras.saving.load_model(source.file, custom_objects=kinds, safe_mode=True)
    except Exception as error:
        if unknown := UNKNOWN.search(str(error)):
            kind, name = unknown.groups()
            said = f"expected Keras's own layers and functions; received the {kind} {name!r}"
            raise Unusable(f"{source.name}: {said}. {IN_A_FUNCTION}") from None
        if "safe_mode" in str(error):
            said = "it holds Python code (Lambda), and code in a saved file is not run"
            raise Unusable(f"{source.name}: {said}. {IN_A_FUNCTION}") from None
        said = describe_error(error, str(source.file)).removeprefix("raised ")
        raise Refused(f"{source.name}: cannot be loaded: {said}") from None
