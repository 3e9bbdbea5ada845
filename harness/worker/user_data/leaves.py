"""What `fit` takes as an array, as NumPy has it; what no backend could train on is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import shown
from harness.spec.data.own import MOST_DEPTH, MOST_LEAVES, NAMES, Tree, is_key, name_parts
from harness.worker.user_inputs import Unusable

SPARSE = ("RaggedTensor", "SparseTensor", "IndexedSlices", "BCOO", "BCSR")
KINDS = "fiub"  # of dtypes: floats, integers, unsigned integers, booleans


def read_parts(where: str, given: Mapping[str, Any], prefix: str = "") -> dict[str, Tree]:
    """Return trees of NumPy's arrays, (n, ...) each with one n, by the names of parts.

    Args:
        where: they stand, as "my_model.py:data".
        given: by name in NAMES; None: no such part.
        prefix: of the parts' names.

    Raises:
        Unusable: one cannot be trained on, is missing, or has another length.
    """
    names = [name for name in NAMES if given.get(name) is not None]
    needed = NAMES[: NAMES.index(names[-1]) + 1]
    for name in needed:
        if name not in names:
            raise Unusable(f"{where}: {prefix}{name}: expected it beside {prefix}{names[-1]}")
    parts = {
        f"{prefix}{name}": read_tree(f"{where}: {prefix}{name}", given[name]) for name in names
    }
    for name, tree in parts.items():
        if not name_parts({name: tree}):
            raise Unusable(f"{where}: {name}: expected at least one array; received None")
    check_lengths(where, name_parts(parts))
    return parts


def read_tree(where: str, given: Any, depth: int = 0) -> Tree:
    """Return a tree of NumPy's arrays, (n, ...) each, of what stands in one of fit's arguments.

    Args:
        where: it stands, as "my_model.py:data: x".
        given: an array of any library's, or dicts, tuples and lists of them.
        depth: that it lies at.

    Raises:
        Unusable: something in it is no array of numbers.
    """
    if depth > MOST_DEPTH:
        raise Unusable(f"{where}: expected at most {MOST_DEPTH} levels of dicts, tuples and lists")
    if given is None:
        return None
    if isinstance(given, Mapping):
        _check_keys(where, given)
        return {key: read_tree(f"{where}[{key}]", given[key], depth + 1) for key in sorted(given)}
    if isinstance(given, tuple | list):
        _check_length(where, given)
        trees = [read_tree(f"{where}[{n}]", part, depth + 1) for n, part in enumerate(given)]
        return trees if isinstance(given, list) else tuple(trees)
    return read_array(where, given)


def _check_keys(where: str, given: Mapping[Any, Any]) -> None:
    if not given:
        raise Unusable(f"{where}: expected arrays by name; received an empty dict")
    for key in given:
        if not is_key(key):
            expected = "expected printable text without brackets as a name"
            raise Unusable(f"{where}: {expected}; received {shown(key)}")


def _check_length(where: str, given: tuple[Any, ...] | list[Any]) -> None:
    kind = type(given).__name__
    if not given:
        raise Unusable(f"{where}: expected arrays; received an empty {kind}")
    if isinstance(given[0], int | float | str) or len(given) > MOST_LEAVES:
        each = type(given[0]).__name__
        expected = f"expected an array; received a {kind} of {len(given)} of type {each}"
        raise Unusable(f"{where}: {expected}. Make it an array: numpy.asarray(...)")


def read_array(where: str, given: Any) -> NDArray[Any]:
    """Return an array of any library's as NumPy's own, (n, ...), of at least one sample.

    Its dtype stays, but for bfloat16 and float8, which NumPy does not have: float32 holds them all.

    Raises:
        Unusable: it is no array of numbers.
    """
    kind = type(given).__name__
    if kind in SPARSE or type(given).__module__.startswith("scipy.sparse"):
        hint = "Make it dense, or pad it to one length, before you return it"
        raise Unusable(f"{where}: expected a dense array; received {kind}. {hint}")
    if not hasattr(given, "__array__"):
        hint = "Make it an array: numpy.asarray(...)"
        raise Unusable(f"{where}: expected an array; received {kind}. {hint}")
    if hasattr(given, "detach"):  # of PyTorch
        given = given.detach().cpu()
        given = (
            given.float() if str(given.dtype).startswith(("torch.bf", "torch.float8")) else given
        )
    try:
        array = np.asarray(given)
    except Exception as error:
        raise Unusable(f"{where}: no array can be made of {kind}: {str(error)[:200]}") from None
    if array.dtype.name.startswith(("bfloat", "float8")):
        array = array.astype(np.float32)
    _check_numbers(where, array)
    return array


def _check_numbers(where: str, array: NDArray[Any]) -> None:
    dtype, shape = array.dtype, array.shape
    if dtype.kind in "SUT":
        hint = "Turn it into numbers first, as with keras.layers.StringLookup"
        raise Unusable(f"{where}: expected numbers; received text (dtype {dtype}). {hint}")
    if dtype.hasobject:
        hint = "Are its rows of one length, and its columns numbers? Make them so: numpy.stack(...)"
        raise Unusable(f"{where}: expected an array of numbers; received dtype object. {hint}")
    if dtype.kind not in KINDS or dtype.itemsize > 8:
        raise Unusable(f"{where}: expected an array of numbers; received dtype {dtype}")
    if array.ndim == 0:
        raise Unusable(f"{where}: expected an axis of samples; received one number")
    if array.size == 0:
        raise Unusable(f"{where}: expected at least one sample; received shape {shape}")


def check_finite(where: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check that every number of some arrays, (n, ...), is finite.

    One that is not makes losses and weights that are not, on every backend, and what is not finite
    cannot be compared. A model that fills gaps can be given them as a mask.

    Args:
        where: the arrays are named.
        arrays: by place.

    Raises:
        Unusable: one is not; names its place.
    """
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            continue
        finite = np.isfinite(array)
        if not finite.all():
            first = np.unravel_index(int(np.argmin(finite)), array.shape)
            place = ", ".join(str(int(number)) for number in first)
            n_bad = array.size - np.count_nonzero(finite)
            hint = "Leave these samples out, or put a number there"
            raise Unusable(
                f"{where}: {name}: expected finite numbers; received {array[first]} at [{place}], "
                f"{n_bad} of {array.size} in all. {hint}"
            )


def check_lengths(where: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check that some arrays, (n, ...), have as many samples.

    Raises:
        Unusable: they have not.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        received = ", ".join(f"{name} {length}" for name, length in lengths.items())
        expected = "expected as many samples in each array"
        raise Unusable(f"{where}: {expected}; received {received}")


def count_bytes(arrays: Iterable[NDArray[Any]]) -> int:
    """Return the bytes of some arrays of any shape and dtype."""
    return sum(array.nbytes for array in arrays)
