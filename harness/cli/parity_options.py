"""What `harness parity` takes; see `harness.cli.options`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from harness.cli.options import MeasuringOptions, PageOptions, SummaryOptions, Texts

POINT = "Only this one, as init, adversarial, resync-469; may be repeated."
MODEL = "Your own: FILE[:FUNCTION], which returns a compiled keras.Model. May stand alone."
BATCH = "FILE:FUNCTION, which returns (x, y) for it; by default drawn from the seed."
QUICK = "Only the first state, an adversarial one, two along the way and the short batch."
MISSING = "With --quick: only arms that have trained here and have no verdict."
FULL = "Also train every arm to the end, for each seed, and compare what came of it."
PARITY_SEED = "Of weights and order; the updates are those of the first. With --full 0, 1, 2."
ROUND_TRIPS = "Also save under each backend and load under each."
PARITY_JUNIT = "Also write JUnit XML there, a test case an arm and a round trip."
PROOF = "Only show, on NumPy, that the gate can fail: planted defects."
SHOW = "Check nothing: only show the newest check, with its heat map in characters."


def _prove(asked: bool) -> None:
    if asked:
        from harness.cli.proof import prove_or_exit

        prove_or_exit()


@dataclass(frozen=True, kw_only=True)
class ParityOptions(SummaryOptions, PageOptions, MeasuringOptions):
    """Of `harness parity`."""

    show: Annotated[bool, Option("--show", help=SHOW)] = False
    point: Annotated[Texts, Option(help=POINT)] = None
    model: Annotated[str | None, Option(help=MODEL)] = None
    batch: Annotated[str | None, Option(help=BATCH)] = None
    quick: Annotated[bool, Option("--quick", help=QUICK)] = False
    missing: Annotated[bool, Option("--missing", help=MISSING)] = False
    full: Annotated[bool, Option("--full", help=FULL)] = False
    seed: Annotated[list[int] | None, Option(help=PARITY_SEED)] = None
    time_limit: Annotated[float | None, Option(help="Seconds for one backend's worker.")] = None
    round_trips: Annotated[bool, Option("--round-trips", help=ROUND_TRIPS)] = False
    proof: Annotated[bool, Option("--proof", callback=_prove, is_eager=True, help=PROOF)] = False
    json: Annotated[Path | None, Option(help="Also write the whole record there.")] = None
    junit: Annotated[Path | None, Option(help=PARITY_JUNIT)] = None
