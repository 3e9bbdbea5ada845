"""Backends with several versions of Keras in one table, where they are there to be compared."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.experiments.train.judge import Key
    from harness.records.record import Record


def join_versions(groups: Mapping[Key, Sequence[Record]]) -> dict[Key, list[Record]]:
    """Return the tables' records, those of several versions of Keras joined where that is meant.

    It is meant where a backend has another name than its framework, as jax-314. Each backend is
    there with its newest Keras; its older runs stay in tables of their own.
    """
    alike: dict[Key, list[Key]] = defaultdict(list)
    for key in groups:
        alike[replace(key, keras="")].append(key)
    joined: dict[Key, list[Record]] = {}
    for keys in alike.values():
        joined |= _join({key: groups[key] for key in keys})
    return joined


def _join(groups: Mapping[Key, Sequence[Record]]) -> dict[Key, list[Record]]:
    """Return groups that differ in nothing but their Keras, as few of them as may be."""
    runs = sorted(
        ((key, run) for key, several in groups.items() for run in several),
        key=lambda pair: pair[1].started_at,
    )
    newest = {run.arm.backend: key for key, run in runs}
    renamed = any(run.arm.backend != run.arm.framework for _, run in runs)
    if len(set(newest.values())) < 2 or not renamed:
        return {key: list(several) for key, several in groups.items()}
    found: dict[Key, list[Record]] = defaultdict(list)
    title = _title({backend: key.keras for backend, key in newest.items()})
    for key, run in runs:
        joins = newest[run.arm.backend] == key
        found[replace(key, keras=title) if joins else key].append(run)
    return dict(found)


def _title(kerases: Mapping[str, str]) -> str:
    """Return the Keras of most backends, and of each other one: "3.15.1, jax-314: 3.14.1"."""
    usual = max(Counter(kerases.values()).items(), key=lambda item: (item[1], item[0]))[0]
    others = [f"{backend}: {keras}" for backend, keras in kerases.items() if keras != usual]
    return ", ".join([usual, *others])
