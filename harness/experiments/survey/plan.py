"""What a survey computes, and where: items of the catalogue, backends of backends.toml."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.errors import ConfigError, choice
from harness.experiments.survey.catalogue import Catalogue, load
from harness.experiments.survey.items import make_items
from harness.job.asked import SurveyItem
from harness.spec.config import Backend, Device
from harness.spec.own_arms import choose_several

ITEM_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class SurveyPlan:
    """What is asked, of whom."""

    catalogue: Catalogue
    items: tuple[SurveyItem, ...]
    backends: Mapping[str, Backend]
    device: Device = "auto"
    item_limit_s: float = ITEM_LIMIT_S


def plan_survey(
    known: Mapping[str, Backend],
    names: Sequence[str],
    only: Sequence[str] = (),
    *,
    quick: bool = False,
    device: Device = "auto",
) -> SurveyPlan:
    """Return what is to be computed.

    Args:
        known: the backends of backends.toml.
        names: those that are asked for; all that have Keras where none is.
        only: names or patterns of what is computed, as Dense or ops.*; everything where none is.
        quick: a few items of each kind, without their variations.
        device: "auto", "cpu" or "gpu".

    Raises:
        ConfigError: there is no such backend, or nothing of that name.
    """
    catalogue = load()
    items = make_items(catalogue)
    if quick:
        items = tuple(each for each in items if _is_quick(each, catalogue))
    for pattern in only:
        if not any(_is_named(each, pattern) for each in items):
            last = dict.fromkeys(each.subject.rpartition(".")[2] for each in items)
            raise ConfigError(f"--only: {choice(last, pattern)}")
    chosen = tuple(each for each in items if _is_chosen(each, only))
    return SurveyPlan(catalogue, chosen, choose_several(known, names), device)


def _is_chosen(item: SurveyItem, only: Sequence[str]) -> bool:
    return not only or any(_is_named(item, pattern) for pattern in only)


def _is_quick(item: SurveyItem, catalogue: Catalogue) -> bool:
    return item.subject in catalogue.quick and "," not in item.name


def _is_named(item: SurveyItem, pattern: str) -> bool:
    """Return whether a pattern means an item: "Dense", "layers.Dense", "ops.*"."""
    names = (item.subject, item.subject.rpartition(".")[2], item.name)
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)
