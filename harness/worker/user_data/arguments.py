"""What a user's function returned as fit's arguments, and these as arrays to train on.

Accepted is what can be given to `fit`: (x, y), (x, y, sample_weight), a pipeline, or a dict of
fit's arguments by name. What `fit` does to them before it trains is done here, once for all
backends, by Keras's own functions: the cut of validation_split, and class_weight as sample weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras.src.trainers.data_adapters import array_slicing, data_adapter_utils
from numpy.typing import NDArray

from harness.errors import choice, shown
from harness.spec.data.own import NAMES, VALIDATION, OwnData, Tree, map_leaves, name_parts
from harness.worker.user_data.leaves import check_finite, count_bytes, read_parts
from harness.worker.user_data.pipelines import NO_LABELS, Bounds, kind_of, read_epoch
from harness.worker.user_inputs import Unusable

BATCH_SIZE = 32  # fit's own
FIT = (*NAMES, "class_weight", "batch_size", "validation_data", "validation_split")
EXPECTED = "expected (x, y), (x, y, sample_weight), a pipeline, or a dict of fit's arguments"


def read_data(given: Any, bounds: Bounds) -> OwnData:
    """Return what a user's function returned as arrays.

    Args:
        given: what it returned.
        bounds: of memory and time.

    Raises:
        Unusable: no backend could train on it.
        Refused: reading it raises.
    """
    where = bounds.where
    arguments = name_arguments(where, given)
    size = _check_batch_size(where, arguments.get("batch_size"))
    kind = kind_of(arguments["x"])
    came_from, remarks = "batch_size" if size else "", []
    if kind:
        _check_beside(where, arguments, kind)
        epoch = read_epoch("x", arguments["x"], bounds)
        parts, remarks = epoch.parts, list(epoch.remarks)
        size, came_from = epoch.batch_size, "its first batch"
    else:
        parts = _read_arrays("", {name: arguments.get(name) for name in NAMES}, bounds, size)
        parts, held_out = _split(where, parts, arguments)
        parts |= held_out
    parts = _weigh(where, parts, arguments.get("class_weight"))
    if arguments.get("validation_data") is not None:
        parts |= _read_validation(arguments["validation_data"], bounds)
    arrays = name_parts(parts)
    check_finite(where, arrays)
    return OwnData(
        parts=parts,
        batch_size=size,
        batch_size_from=came_from,
        source=kind or ("arrays by name" if isinstance(given, Mapping) else "arrays"),
        remarks=(*remarks, *_remark_dtypes(arrays)),
    )


def name_arguments(where: str, given: Any) -> dict[str, Any]:
    """Return what a user's function returned as fit's arguments, those that are not None.

    Raises:
        Unusable: it cannot be given to `fit`, or has no labels.
    """
    if kind_of(given):
        return {"x": given}
    if isinstance(given, Mapping):
        _check_names(where, given)
        named = dict(given)
    elif isinstance(given, tuple | list):
        if not 1 <= len(given) <= len(NAMES):
            kind = type(given).__name__
            raise Unusable(f"{where}: {EXPECTED}; received a {kind} of {len(given)}")
        named = dict(zip(NAMES, given, strict=False))
    elif hasattr(given, "__array__"):
        raise Unusable(f"{where}: {NO_LABELS}")
    else:
        raise Unusable(f"{where}: {EXPECTED}; received {type(given).__name__}")
    if named["x"] is None:
        raise Unusable(f"{where}: x: expected arrays or a pipeline; received None")
    return {name: value for name, value in named.items() if value is not None}


def _check_names(where: str, given: Mapping[Any, Any]) -> None:
    if callbacks := given.get("callbacks"):
        several = callbacks if isinstance(callbacks, tuple | list) else [callbacks]
        received = ", ".join(type(each).__name__ for each in several)
        why = "one could stop early or change what is trained, and each epoch is a `fit` of its own"
        raise Unusable(f"{where}: callbacks: expected none: {why}; received {received}")
    for name in given:
        if name not in FIT:
            raise Unusable(f"{where}: unknown key: {choice(FIT, name)} The spec says all else")
    if "x" not in given:
        received = ", ".join(given) or "an empty dict"
        raise Unusable(f"{where}: expected 'x' among fit's arguments; received {received}")


def _check_batch_size(where: str, size: Any) -> int | None:
    if size is None:
        return None
    whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
    if not whole or size < 1:
        raise Unusable(f"{where}: batch_size: expected a whole number from 1 on; received {size!r}")
    return int(size)


def _check_beside(where: str, arguments: Mapping[str, Any], kind: str) -> None:
    """Raise Unusable where a pipeline stands beside what `fit` does not take with it."""
    for name in ("y", "sample_weight", "validation_split"):
        if name in arguments:
            hint = 'For validation return {"x": ..., "validation_data": ...}'
            raise Unusable(f"{where}: {name}: expected none beside {kind}, as fit has it. {hint}")


def _read_arrays(
    prefix: str, given: Mapping[str, Any], bounds: Bounds, size: int | None
) -> dict[str, Tree]:
    """Return the parts that are given as arrays, (n, ...), no more of them than are wanted.

    Args:
        prefix: of the parts' names.
        given: by name in NAMES; None: no such part.
        bounds: of memory; without a prefix, of batches too.
        size: of a batch, as far as the data say it.
    """
    parts, size = read_parts(bounds.where, given, prefix), size or BATCH_SIZE
    if not prefix:
        parts = _take(parts, slice(bounds.n_most(size)))
    arrays = name_parts(parts).values()
    n_samples, n_bytes = len(next(iter(arrays))), count_bytes(arrays)
    bounds.check(f"{prefix}x", n_samples, n_bytes, size)
    bounds.held_bytes += n_bytes
    return parts


def _take(parts: Mapping[str, Tree], samples: slice) -> dict[str, Tree]:
    return {name: map_leaves(lambda each: each[samples], tree) for name, tree in parts.items()}


def _split(
    where: str, parts: dict[str, Tree], arguments: Mapping[str, Any]
) -> tuple[dict[str, Tree], dict[str, Tree]]:
    """Return the parts to train on and those to validate with, cut as `fit` cuts them.

    Args:
        where: they come from.
        parts: trees of arrays (n, ...).
        arguments: validation_split among them; validation_data goes before it.
    """
    share = arguments.get("validation_split")
    if not share or arguments.get("validation_data") is not None:
        return parts, {}
    n_samples = len(next(iter(name_parts(parts).values())))
    if not isinstance(share, int | float | np.number) or not 0 < share < 1:
        expected = "expected a number between 0 and 1"
        raise Unusable(f"{where}: validation_split: {expected}; received {share!r}")
    try:
        first, _ = array_slicing.train_validation_split((np.arange(n_samples),), float(share))
    except ValueError:
        few = f"cuts {n_samples} samples into none and all. Take another share, or more samples"
        raise Unusable(f"{where}: validation_split: {share} {few}") from None
    n_first = len(first[0])
    held_out = _take(parts, slice(n_first, None))
    return _take(parts, slice(n_first)), {
        f"{VALIDATION}{name}": held_out[name] for name in held_out
    }


def _weigh(where: str, parts: dict[str, Tree], given: Any) -> dict[str, Tree]:
    """Return the parts with class_weight as sample weights, (n,), made by Keras's own function."""
    if given is None:
        return parts
    where = f"{where}: class_weight"
    if "sample_weight" in parts:
        raise Unusable(f"{where}: expected it or sample_weight, not both, as fit has it")
    if not isinstance(parts.get("y"), np.ndarray):
        raise Unusable(f"{where}: expected labels in one array beside it, as fit has it")
    fine = isinstance(given, Mapping) and all(
        isinstance(key, int | np.integer) and isinstance(weight, int | float | np.number)
        for key, weight in given.items()
    )
    if not fine:
        expected = "expected a dict from class numbers to weights, as {0: 1.0, 1: 2.5}"
        raise Unusable(f"{where}: {expected}; received {shown(given)}")
    weights = data_adapter_utils.class_weight_to_sample_weights(parts["y"], dict(given))
    validation = {name: part for name, part in parts.items() if name not in NAMES}
    return {"x": parts["x"], "y": parts["y"], "sample_weight": weights, **validation}


def _read_validation(given: Any, bounds: Bounds) -> dict[str, Tree]:
    """Return the validation data by part, from a pipeline or from arrays."""
    if kind_of(given):
        found = read_epoch("validation_data", given, bounds).parts
        return {f"{VALIDATION}{name}": part for name, part in found.items()}
    if not isinstance(given, tuple | list) or not 1 <= len(given) <= len(NAMES):
        expected = "expected (x, y), (x, y, sample_weight) or a pipeline"
        received = f"received {type(given).__name__}"
        raise Unusable(f"{bounds.where}: validation_data: {expected}; {received}")
    if given[0] is None:
        raise Unusable(f"{bounds.where}: validation_data: x: expected arrays; received None")
    named = dict(zip(NAMES, given, strict=False))
    return _read_arrays(VALIDATION, named, bounds, None)


def _remark_dtypes(arrays: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
    """Return a remark for each dtype of floats that `fit` casts; arrays are of any shape."""
    floatx = keras.config.floatx()
    several: dict[str, list[str]] = {}
    for name, array in arrays.items():
        if array.dtype.kind == "f" and array.dtype.name != floatx:
            several.setdefault(array.dtype.name, []).append(name)
    return tuple(
        f"{', '.join(names[:5])}{', ...' if names[5:] else ''}: kept in {dtype}; "
        f"fit casts it to {floatx}"
        for dtype, names in several.items()
    )
