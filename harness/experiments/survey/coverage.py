"""How much of the installed Keras a survey has computed, and why the rest is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from harness.experiments.survey.catalogue import Catalogue
from harness.records.survey import Surveyed


@dataclass(frozen=True, slots=True)
class Covered:
    """One module of Keras's: names are counted once, whatever else they are called."""

    module: str
    done: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]  # name, and the reason

    @property
    def n_all(self) -> int:
        """How many things the module has."""
        return len(self.done) + len(self.left_out)

    @property
    def share(self) -> float:
        """How much of it was computed."""
        return len(self.done) / self.n_all if self.n_all else 1.0


def coverage(surveyed: Surveyed, catalogue: Catalogue) -> tuple[Covered, ...]:
    """Return what of each module was computed on at least two backends, of the first Keras there.

    Args:
        surveyed: what was computed.
        catalogue: which says why something is not.
    """
    public = next(iter(surveyed.survey.public.values()))
    done = {public.get(name, name) for name in _computed(surveyed)}
    names: dict[str, list[str]] = defaultdict(list)
    for name, meant in public.items():
        names[meant].append(name)
    by_module: dict[str, tuple[list[str], list[tuple[str, str]]]] = defaultdict(lambda: ([], []))
    counted = {
        meant: all_names
        for meant, all_names in names.items()
        if meant in done or all(map(catalogue.is_counted, all_names))
    }
    for meant, all_names in counted.items():
        covered, left_out = by_module[meant.rpartition(".")[0]]
        if meant in done:
            covered.append(meant)
        else:
            reasons = [catalogue.reason_of(name) for name in all_names]
            left_out.append((meant, next(filter(None, reasons), "not in the catalogue")))
    return tuple(
        Covered(module, tuple(covered), tuple(left_out))
        for module, (covered, left_out) in by_module.items()
    )


def _computed(surveyed: Surveyed) -> Iterator[str]:
    """Yield what at least two backends have computed an output of."""
    n_backends = len(surveyed.survey.backends)
    for item in surveyed.items:
        failed = item.failures.get("setup", item.failures.get("output", {}))
        if item.quantities and n_backends - len(failed) >= 2:
            yield item.subject
