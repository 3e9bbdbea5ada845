"""Lead -> sentences: which arm wins for how many epochs, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

from harness.experiments.bench.lead import Lead, Rival
from harness.report.document import listed
from harness.statistics.intervals import Interval
from harness.statistics.verdict import TOGETHER, has_ends, percent, span

NOTHING = "Nothing can be said yet: no arm has both a start and a generation that counts."
OTHER_NUMBERS = (
    "No arm can lead: of every arm that was timed the numbers are known to be others than they "
    "should be."
)


def lead_sentences(lead: Lead) -> str:
    """Return what a session says of who wins, and what that leaves open."""
    parts = [] if lead.undecided or lead.fit is None else [fit_sentence(*lead.fit)]
    parts += [lead_sentence(lead), unchecked_sentence(lead.unchecked, lead.n_arms, lead.check)]
    return " ".join(part for part in parts if part)


def lead_sentence(lead: Lead) -> str:
    """Return in one or two sentences which arm wins for how many epochs, and how sure that is."""
    match lead.kind:
        case "nothing":
            return NOTHING
        case "other numbers":
            return OTHER_NUMBERS
    which = _named(lead)
    when = f"{_when(lead)}{_times(lead)}"
    match lead.kind:
        case "alone":
            only = f"{which} is the only arm that can be judged"
            return f"{only}: there is nothing to compare it with."
        case "undecided":
            ahead = f"So far {which} is ahead {when}.{_before(lead)}"
            more = "Run more generations, on a quiet machine."
            return f"Inconclusive: {lead.undecided}. {ahead} {more}"
        case "close":
            told = "; ".join(f"{rival.name}: {_told(rival)}" for rival in lead.close)
            names = listed([which, *(rival.name for rival in lead.close)])
            first = f"by medians {which} trains this model first {when}.{_before(lead)}"
            return f"{names} cannot be told apart by their epochs ({told}); {first}"
    return f"{which} trains this model first {when}; {_ahead(lead.rivals[0])}.{_before(lead)}"


def fit_sentence(leader: str, rivals: Sequence[Rival]) -> str:
    """Return the sentence on whose `fit` has the shortest epoch; "" without rivals."""
    if not rivals:
        return ""
    parts = []
    for rival in rivals:
        if rival.finding == "slower" and rival.ratio:
            parts.append(f"{rival.name} takes {_around(rival.ratio)} times its epoch")
        else:
            parts.append(f"{rival.name} cannot be told from it ({_told(rival)})")
    return f"With compile and fit: {leader}; {', '.join(parts)}."


def unchecked_sentence(names: Sequence[str], n_arms: int, check: str) -> str:
    """Return the sentence on arms never checked against the referee; "" where all were.

    Args:
        names: of those arms.
        n_arms: of all arms.
        check: what to type to check them.
    """
    if not names:
        return ""
    which = "No arm was" if len(names) == n_arms else f"{', '.join(names)}: not"
    unknown = "checked against the referee, so equal numbers are not known"
    return f"{which} {unknown} ({check} checks them)."


def _named(lead: Lead) -> str:
    name = lead.reigns[-1].name
    return f"{name}, the baseline," if name == lead.baseline else name


def _when(lead: Lead) -> str:
    first = lead.reigns[-1].from_epoch
    return f"from {first} epochs on" if first > 1 else "for any number of epochs"


def _times(lead: Lead) -> str:
    if lead.ratio is None or lead.reigns[-1].name == lead.baseline:
        return ""
    low, high = lead.ratio.low, lead.ratio.high
    sure = f" ({low:.2f}-{high:.2f} with 95 % confidence)" if has_ends(lead.ratio) else ""
    return f", at {lead.ratio.mid:.2f} times {lead.baseline}'s epoch{sure}"


def _before(lead: Lead) -> str:
    """Return who leads before the last leader does."""
    several = (
        f"{_epochs(each.from_epoch, each.to_epoch)} it is {each.name}" for each in lead.reigns[:-1]
    )
    text = "; ".join(several)
    return f" {text[0].upper()}{text[1:]}." if text else ""


def _epochs(first: int, last: int | None) -> str:
    if first == 1:
        return "for 1 epoch" if last == 1 else f"up to {last} epochs"
    return f"for {first} epochs" if first == last else f"for {first} to {last} epochs"


def _ahead(nearest: Rival) -> str:
    """Return by how much the leader's epoch is ahead of the nearest arm's."""
    by = "longer"
    if nearest.ratio:
        by = f"{nearest.ratio.mid:.2f} times as long ({_ends(nearest.ratio)})"
    sure = f"longer with 95 % confidence for {TOGETHER}, and by more than the A/A floor"
    return f"an epoch of {nearest.name}, the next, takes {by}: {sure}"


def _around(ratio: Interval) -> str:
    return f"{ratio.mid:.2f} ({_ends(ratio)})"


def _ends(ratio: Interval) -> str:
    return f"{ratio.low:.2f}-{ratio.high:.2f}"


def _told(rival: Rival) -> str:
    if rival.ratio is None or not has_ends(rival.ratio):
        return rival.reason or "too few generations together"
    longer = "longer" if rival.ratio.mid >= 1 else "shorter"
    return f"{percent(rival.ratio.mid)} {longer}, {span(rival.ratio)}"
