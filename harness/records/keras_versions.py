"""Several Keras on one framework: which of them is the first with another answer."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise


def rising(versions: Sequence[Mapping[str, str]], names: Sequence[str]) -> tuple[str, ...]:
    """Return backends by their rising version of Keras; none where that is not what differs.

    Args:
        versions: of each backend: "keras", "framework_version".
        names: of the backends, in the same order.
    """
    keras = [each.get("keras", "") for each in versions]
    frameworks = {each.get("framework_version", "") for each in versions}
    if len(frameworks) != 1 or len(set(keras)) < max(2, len(names)) or "" in keras:
        return ()
    by_number = sorted(zip(keras, names, strict=True), key=lambda each: _numbers(each[0]))
    return tuple(name for _, name in by_number)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def first_apart(order: Sequence[str], apart: Collection[str]) -> str:
    """Return the first backend that is not as the one before it; "" where that cannot be told.

    Args:
        order: backends by their rising versions.
        apart: those that are not as the others.
    """
    if len(order) == 2:
        return order[1] if apart else ""
    changes = [after for before, after in pairwise(order) if (before in apart) != (after in apart)]
    return changes[0] if changes else ""
