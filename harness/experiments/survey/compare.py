"""What two workers of each backend computed of an item -> its record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.job.asked import SurveyItem
from harness.records.survey import Item, Quantity
from harness.referee import pairs

Arrays = Mapping[str, NDArray[Any]]
SHOWN = 1e-12  # a difference in float64 from which on the values are kept
UNIT = 2.0**-24  # half a last digit of float32
KERNEL, FEW_UNITS = 5.0, 8  # times the others' error, and units, from which on one stands out


def compare(item: SurveyItem, exact: Mapping[str, Arrays], own: Mapping[str, Arrays]) -> Item:
    """Return the record of an item.

    Args:
        item: that was computed.
        exact: by backend, its quantities in float64, of any shape; text where one failed.
        own: the same as Keras computes them there by itself.
    """
    failures = {f"{name}, float64": _texts(name, exact) for name in _names(exact)}
    failures |= {name: _texts(name, own) for name in _names(own)}
    quantities = []
    for name in _names(exact):
        arrays = [_array(name, each) for each in exact.values()]
        if any(each is not None for each in arrays):
            theirs = [_array(name, own[backend]) for backend in exact]
            quantities.append(_compare_quantity(name, arrays, theirs, item.elementwise))
    return Item(
        name=item.name,
        subject=item.subject,
        failures={name: found for name, found in failures.items() if found},
        quantities=tuple(quantities),
    )


def _names(found: Mapping[str, Arrays]) -> list[str]:
    return list(dict.fromkeys(name for arrays in found.values() for name in arrays))


def _texts(name: str, found: Mapping[str, Arrays]) -> dict[str, str]:
    """Return what each backend says instead of a quantity."""
    return {
        backend: str(arrays[name])
        for backend, arrays in found.items()
        if name in arrays and arrays[name].dtype.kind == "U"
    }


def _array(name: str, arrays: Arrays) -> NDArray[Any] | None:
    found = arrays.get(name)
    return None if found is None or found.dtype.kind in "USO" else found


def _compare_quantity(
    name: str,
    exact: list[NDArray[Any] | None],
    own: list[NDArray[Any] | None],
    elementwise: bool,
) -> Quantity:
    there = [each for each in exact if each is not None]
    floor = pairs.TINY if elementwise else pairs.FLOOR * pairs.ordinary_size(there)
    errors = [_error(*both, floor) for both in combinations(exact, 2)]
    rounded = [_own_error(*both, floor, elementwise) for both in zip(own, exact, strict=True)]
    place, values = _worst(exact, own, errors, floor, _stands_out(rounded))
    return Quantity(
        name=name,
        exact=tuple(_brief(each[0]) if each else None for each in errors),
        rounded=tuple(map(_brief, rounded)),
        place=place,
        values=values,
        shapes=_unlike(exact, "shape"),
        dtypes=_unlike(own, "dtype"),
    )


def _error(
    one: NDArray[Any] | None, other: NDArray[Any] | None, floor: float
) -> tuple[float, int] | None:
    if one is None or other is None:
        return None
    return pairs.largest_error(one, other, floor)


def _worst(
    exact: list[NDArray[Any] | None],
    own: list[NDArray[Any] | None],
    errors: list[tuple[float, int] | None],
    floor: float,
    stands_out: bool,
) -> tuple[int, tuple[float | None, ...]]:
    """Return where backends are furthest apart, and their values there if that is far."""
    error, place = max((each for each in errors if each), default=(0.0, 0))
    if error > SHOWN:
        return place, tuple(_value(each, place) for each in exact)
    return _own_values(own, exact, floor) if stands_out else (place, ())


def _own_error(
    own: NDArray[Any] | None, exact: NDArray[Any] | None, floor: float, elementwise: bool
) -> float | None:
    if own is None or exact is None:
        return None
    if not elementwise:
        return pairs.error_of_norms(own, exact, floor)
    found = pairs.largest_error(own, exact, floor)
    return found[0] if found else None


def _stands_out(rounded: list[float | None]) -> bool:
    """Return whether one backend's error is more than rounding does on the others."""
    known = sorted(each for each in rounded if each is not None)
    if len(known) < 2:
        return False
    return known[-1] > KERNEL * max(known[-2], UNIT) and known[-1] > FEW_UNITS * UNIT


def _own_values(
    own: list[NDArray[Any] | None], exact: list[NDArray[Any] | None], floor: float
) -> tuple[int, tuple[float | None, ...]]:
    """Return where an own array is furthest off, each one's value there, and the exact one."""
    both = [(a, b) for a, b in zip(own, exact, strict=True) if a is not None and b is not None]
    found = [pairs.largest_error(a, b, floor) for a, b in both]
    place = max((each for each in found if each), default=(0.0, 0))[1]
    return place, (*(_value(each, place) for each in own), _value(both[0][1], place))


def _value(array: NDArray[Any] | None, place: int) -> float | None:
    if array is None or place >= array.size:
        return None
    value = array.ravel()[place]
    number = float(abs(value)) if np.iscomplexobj(value) else float(value)
    return number if abs(number) < pairs.FAR else None


def _brief(error: float | None) -> float | None:
    return None if error is None else float(f"{error:.2e}")


def _unlike(arrays: Iterable[NDArray[Any] | None], what: str) -> tuple[str, ...]:
    """Return the shapes or dtypes of arrays where they are not all the same."""
    found = tuple("absent" if each is None else str(getattr(each, what)) for each in arrays)
    return found if len(set(found)) > 1 else ()
