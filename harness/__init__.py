"""Train one Keras model under several backends, and compare accuracy, numbers and time.

    from harness import choose
    choose("my_model.py", budget="10m")

`choose`, `train`, `parity`, `bench` and `gate` are the command's verbs (`harness.cli.python`); they
are imported when they are first named.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.cli.python import bench, choose, gate, parity, train

__all__ = ["bench", "choose", "gate", "parity", "train"]

__version__ = "0.10.5"


def __getattr__(name: str) -> Any:
    """Return a verb as a function."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("harness.cli.python"), name)
