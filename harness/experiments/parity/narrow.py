"""At which update an arm's first epoch goes wrong.

Prefixes of it, between one that agrees and one that departs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.engine.executor import Executor
from harness.engine.plan import Planned
from harness.experiments.parity.departure import describe
from harness.experiments.parity.gather import Say, documented_loss, gather_traces
from harness.records.parity import ArmParity
from harness.referee.epoch import examine_epoch, read_after
from harness.referee.ground import Ground

N_AT_ONCE = 7  # prefixes that one worker trains: three workers for an epoch of 469 updates
Departs = Callable[[tuple[int, ...]], Sequence[bool] | None]
"""Says of each prefix whether it departs; None where nothing can be said."""


def name_update(
    arm: ArmParity, planned: Planned, reference: Ground, executor: Executor, say: Say
) -> ArmParity:
    """Return the verdict, naming the update at which the first epoch departs if it departs first.

    Args:
        arm: the verdict.
        planned: the arm.
        reference: what it was held to.
        executor: that does jobs.
        say: told what is being done.
    """
    if not arm.departures or arm.departures[0].program != "epoch":
        return arm
    epoch, first = reference.epochs[documented_loss(planned)], arm.departures[0]
    after = int(first.point.rpartition("-")[2])
    before = max((stop for stop in epoch.stops if stop < after), default=0)

    def departs(stops: tuple[int, ...]) -> list[bool] | None:
        say(f"{arm.name}: between updates {before} and {after}: {', '.join(map(str, stops))}")
        there = read_after(epoch, stops)
        alone = replace(
            reference, points={}, twins={}, loops={}, courses={}, epochs={epoch.loss: there}
        )
        heard = gather_traces((planned,), alone, executor, say)[arm.name]
        if heard.failure or set(heard.epochs) != set(stops):
            return None
        return [examine_epoch(there, stop, heard.epochs[stop])[0] is not None for stop in stops]

    found = first_departing(departs, before, after)
    said = "it agrees as far as update {}, and departs as far as update {}".format(*found)
    named = first.model_copy(update={"fit": "; ".join(filter(None, (first.fit, said)))})
    return arm.model_copy(
        update={"departures": (named, *arm.departures[1:]), "reason": describe(named)}
    )


def first_departing(departs: Departs, agrees: int, wrong: int) -> tuple[int, int]:
    """Return two prefixes as near as can be found: one that agrees, and one that departs.

    Args:
        departs: asked of several prefixes at once.
        agrees: a prefix that agrees; 0 is none of it.
        wrong: a longer one that departs.
    """
    while wrong - agrees > 1:
        width = wrong - agrees
        asked = tuple(
            sorted(
                {
                    agrees + max(1, width * part // (N_AT_ONCE + 1))
                    for part in range(1, N_AT_ONCE + 1)
                }
            )
        )
        answers = departs(asked)
        if answers is None:
            break
        found = next(
            (number for number, answer in zip(asked, answers, strict=True) if answer), wrong
        )
        agrees, wrong = max((number for number in asked if number < found), default=agrees), found
    return agrees, wrong
