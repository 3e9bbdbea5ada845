"""A user's own data: what `fit` would be given, as arrays by part, and the digest that proves them.

NumPy only: workers import this. A *tree* is an array (n, ...), a dict, tuple or list of trees, or
None where a place is empty.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from harness.spec.data.arrays import weights_digest

NAMES = ("x", "y", "sample_weight")  # of what a model trains on, in the order of fit's arguments
VALIDATION = "validation_"
PARTS = (*NAMES, *(f"{VALIDATION}{name}" for name in NAMES))
MOST_LEAVES, MOST_DEPTH, MOST_KEY = 1000, 20, 200  # MOST_KEY: characters of a dict's key
Tree = Any
"""An array (n, ...), a dict, tuple or list of trees, or None."""


@dataclass(frozen=True, kw_only=True)
class OwnData:
    """What a user's function returned, as `fit` would be given it: a tree of arrays for each part.

    "x" is always there, and so is a part only if those before it are. All arrays of "x", "y" and
    "sample_weight" have the same first axis, and so have all arrays of the validation data.
    """

    parts: Mapping[str, Tree]  # by name in PARTS
    batch_size: int | None = None  # that the user's own code says; None: it says none
    batch_size_from: str = ""  # where it says so
    source: str = ""  # the form in which the data came
    remarks: tuple[str, ...] = ()
    sha256: str = ""  # of `digest_parts`; "" as long as nothing is written

    @property
    def n_samples(self) -> int:
        """How many samples there are to train on."""
        return len(next(iter(name_leaves("x", self.parts["x"]).values())))

    @property
    def n_inputs(self) -> int:
        """How many numbers of x belong to one sample."""
        arrays = name_leaves("x", self.parts["x"]).values()
        return sum(math.prod(array.shape[1:]) for array in arrays)

    @property
    def training(self) -> tuple[Tree, ...]:
        """(x,), (x, y) or (x, y, sample_weight): trees of arrays (n, ...)."""
        return tuple(self.parts[name] for name in NAMES if name in self.parts)

    @property
    def validation(self) -> tuple[Tree, ...] | None:
        """The same of the validation data; None where there is none."""
        names = [f"{VALIDATION}{name}" for name in NAMES]
        return tuple(self.parts[name] for name in names if name in self.parts) or None

    def take(self, samples: slice | NDArray[Any]) -> tuple[Tree, ...]:
        """Return those samples of `training`, chosen by a slice or by their numbers, (n,)."""
        return tuple(map_leaves(lambda array: array[samples], part) for part in self.training)


def name_leaves(name: str, tree: Tree) -> dict[str, NDArray[Any]]:
    """Return the arrays of a tree, of any shape and dtype, by their place.

    That is "x" where there is one, "x[0]" in a tuple or list, "x[left]" in a dict. Keys of a dict
    come in the order of the alphabet, as Keras takes them.
    """
    if tree is None:
        return {}
    if isinstance(tree, dict):
        inner = [(f"{name}[{key}]", tree[key]) for key in sorted(tree)]
    elif isinstance(tree, tuple | list):
        inner = [(f"{name}[{number}]", part) for number, part in enumerate(tree)]
    else:
        return {name: tree}
    return {place: leaf for key, part in inner for place, leaf in name_leaves(key, part).items()}


def map_leaves(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """Return a tree of the same form, of what a function makes of each of its arrays."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        return {key: map_leaves(function, tree[key]) for key in sorted(tree)}
    if isinstance(tree, tuple | list):
        return type(tree)(map_leaves(function, part) for part in tree)
    return function(tree)


def name_parts(parts: Mapping[str, Tree]) -> dict[str, NDArray[Any]]:
    """Return the arrays of all parts, of any shape and dtype, by their place."""
    known = [name for name in PARTS if name in parts]
    return {place: leaf for name in known for place, leaf in name_leaves(name, parts[name]).items()}


def digest_parts(parts: Mapping[str, Tree]) -> str:
    """Return one digest of all parts: their form, and place, dtype, shape and bytes of each array.

    A tuple and a list are one form: which of the two it is depends on where the data came from.
    """
    form = [[name, form_of(parts[name], {"list": "tuple"})] for name in PARTS if name in parts]
    text = f"{json.dumps(form)}\n{weights_digest(name_parts(parts))}"
    return hashlib.sha256(text.encode()).hexdigest()


def form_of(tree: Tree, names: Mapping[str, str] = MappingProxyType({})) -> Any:
    """Return the form of a tree as JSON has it: 1 for an array, {"dict": [[KEY, FORM], ...]}.

    Args:
        tree: of arrays of any shape and dtype.
        names: other names for "dict", "list" and "tuple".
    """
    if tree is None:
        return None
    kind = type(tree).__name__
    if isinstance(tree, dict):
        return {names.get(kind, kind): [[key, form_of(tree[key], names)] for key in sorted(tree)]}
    if isinstance(tree, tuple | list):
        return {names.get(kind, kind): [form_of(part, names) for part in tree]}
    return 1


def is_key(key: object) -> bool:
    """Say whether a dict's key can name a place: printable text without brackets."""
    return (
        isinstance(key, str)
        and 0 < len(key) <= MOST_KEY
        and key.isprintable()
        and not set(key) & set("[]")
    )
