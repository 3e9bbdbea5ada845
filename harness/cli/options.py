"""Every option and argument of the command line, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.report.renderers import FORMATS

# Of several verbs.
BackendsArgument = Annotated[
    list[str] | None, typer.Argument(help="As in backends.toml; all where none is named.")
]
SpecOption = Annotated[
    str | None, typer.Option(help="As in backends.toml; its first where none is named.")
]
ArmOption = Annotated[
    list[str] | None, typer.Option(help="Only this implementation; may be repeated.")
]
ThreadsOption = Annotated[
    str | None, typer.Option(help="auto, or the number of cores for every backend.")
]
DeviceOption = Annotated[
    Literal["auto", "cpu", "gpu"],
    typer.Option(help="With gpu, a backend that sees none is an error."),
]
DatasetOption = Annotated[
    Literal["auto", "mnist", "digits"] | None,
    typer.Option(help="Instead of the spec's. auto: MNIST, else digits."),
]
CONFIG = "backends.toml; by default the nearest one, from here upwards, if only you can write it."
ConfigOption = Annotated[Path | None, typer.Option(envvar="HARNESS_CONFIG", help=CONFIG)]
NO_WAIT = "Where another harness measures on this machine, exit with 2 at once."
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help=NO_WAIT)]
ResultsOption = Annotated[
    Path | None, typer.Option(help="By default results/ beside backends.toml.")
]
OutputOption = Annotated[Path | None, typer.Option(help="Write there instead of printing.")]
TableOption = Annotated[
    Path | None, typer.Option(help="Also write the table there, as for a CI's summary.")
]

# Of `harness train`.
TrainSeedOption = Annotated[
    list[int] | None, typer.Option(help="Instead of the protocol's seeds; may be repeated.")
]
EpochsOption = Annotated[int | None, typer.Option(help="Instead of the protocol's.")]
RunLimitOption = Annotated[float | None, typer.Option(help="Seconds for one run.")]
ROWS = "Print a line a run only: harness compare prints the table."
RowsOption = Annotated[bool, typer.Option("--rows", help=ROWS)]

# Of `harness compare`.
COMPARE_BASELINE = "The arm whose epoch time is 1.00: backend/implementation, or a backend."
CompareBaselineOption = Annotated[str | None, typer.Option(help=COMPARE_BASELINE)]
Format = Literal[FORMATS]  # type: ignore[valid-type]
FormatOption = Annotated[Format, typer.Option(help="How to print.")]
NEWEST = "Only the table of the newest run, and what it answers."
NewestOption = Annotated[bool, typer.Option("--newest", help=NEWEST)]

# Of `harness data`.
SampleOption = Annotated[int, typer.Option(help="The training sample to show as a picture.")]
PngOption = Annotated[
    Path | None, typer.Option(help="Also write a sheet of samples, ten of each class, as a PNG.")
]

# Of `harness bench`.
ARMS = (
    "An arm (jax/compiled), a backend or an implementation; several with commas, or repeated. "
    "By default [bench] arms."
)
ArmsOption = Annotated[list[str] | None, typer.Option(help=ARMS)]
BENCH_BASELINE = (
    "The arm whose epoch is 1.00, and whose code runs twice; by default that of [bench]."
)
BenchBaselineOption = Annotated[str | None, typer.Option(help=BENCH_BASELINE)]
GenerationsOption = Annotated[
    int | None,
    typer.Option(min=1, max=99, help="Fresh sets of processes; a 95 % interval needs 6."),
]
BlocksOption = Annotated[
    int | None, typer.Option(min=1, max=99, help="Turns of each process, after its first epoch.")
]
BUDGET = (
    "After the first, no generation begins that would end later: 10m, 90s, 1h; "
    "by default that of [bench]."
)
BudgetOption = Annotated[str | None, typer.Option(help=BUDGET)]
RESUME = "Go on with the newest session that is not complete."
ResumeOption = Annotated[bool, typer.Option("--resume", help=RESUME)]
StopAfterOption = Annotated[
    int | None, typer.Option(min=1, help="End after so many generations; --resume goes on.")
]
AA = (
    "Whose code runs twice: the baseline's, or also an arm of each other backend, "
    "for its own A/A floor."
)
AaOption = Annotated[Literal["baseline", "each"] | None, typer.Option("--aa", help=AA)]
PinOption = Annotated[str | None, typer.Option(help="Keep every worker to these cores, as 0,1.")]
NO_PARITY = "Do not check first whether arms without a verdict agree."
NoParityOption = Annotated[bool, typer.Option("--no-parity", help=NO_PARITY)]
SHOW = "Measure nothing: only show the newest session."
ShowOption = Annotated[bool, typer.Option("--show", help=SHOW)]
SELF_CHECK = "Train nothing: check what the figures stand on, the newest session's noise among it."
SelfCheckOption = Annotated[bool, typer.Option("--self-check", help=SELF_CHECK)]
BenchJsonOption = Annotated[Path | None, typer.Option(help="Also write everything there.")]
CsvOption = Annotated[Path | None, typer.Option(help="Also write the table there, a row an arm.")]

# Of `harness gate`.
AGAINST = "A results folder with bench sessions, or a git revision: main, HEAD~1, v0.3.0."
AgainstOption = Annotated[str, typer.Option(help=AGAINST)]
PathOption = Annotated[
    Path, typer.Option(help="With a revision: the results folder that it tracks.")
]
CONFIRM = "Measure arms that look slower again, in fresh blocks; unconfirmed is exit 3."
ConfirmOption = Annotated[bool, typer.Option("--confirm/--no-confirm", help=CONFIRM)]
TOLERANCE = "The slowdown that must be excluded for an arm to pass: 0.05 is 5 %."
ToleranceOption = Annotated[float, typer.Option(min=0.02, max=1.0, help=TOLERANCE)]
GateJsonOption = Annotated[
    Path | None, typer.Option(help="Also write what has become of each arm there.")
]
GateJunitOption = Annotated[
    Path | None, typer.Option(help="Also write JUnit XML there, a test case an arm.")
]

# Of `harness parity`.
POINT = "Only this one, as init, adversarial, resync-469; may be repeated."
PointOption = Annotated[list[str] | None, typer.Option(help=POINT)]
MODEL = "Your own: FILE[:FUNCTION], which returns a compiled keras.Model. May stand alone."
ModelOption = Annotated[str | None, typer.Option(help=MODEL)]
BATCH = "FILE:FUNCTION, which returns (x, y) for it; by default drawn from the seed."
BatchOption = Annotated[str | None, typer.Option(help=BATCH)]
QUICK = "Only the first state, an adversarial one, two along the way and the short batch."
QuickOption = Annotated[bool, typer.Option("--quick", help=QUICK)]
MISSING = "With --quick: only arms that have trained here and have no verdict."
MissingOption = Annotated[bool, typer.Option("--missing", help=MISSING)]
FULL = "Also train every arm to the end, for each seed, and compare what came of it."
FullOption = Annotated[bool, typer.Option("--full", help=FULL)]
PARITY_SEED = "Of weights and order; the updates are those of the first. With --full 0, 1, 2."
ParitySeedOption = Annotated[list[int] | None, typer.Option(help=PARITY_SEED)]
WorkerLimitOption = Annotated[float | None, typer.Option(help="Seconds for one backend's worker.")]
ROUND_TRIPS = "Also save under each backend and load under each."
RoundTripsOption = Annotated[bool, typer.Option("--round-trips", help=ROUND_TRIPS)]
ParityJsonOption = Annotated[Path | None, typer.Option(help="Also write the whole record there.")]
PARITY_JUNIT = "Also write JUnit XML there, a test case an arm and a round trip."
ParityJunitOption = Annotated[Path | None, typer.Option(help=PARITY_JUNIT)]
TablesOption = Annotated[
    Path | None, typer.Option(help="Also write the tables there, as for a CI's summary.")
]


def _prove(asked: bool) -> None:
    if asked:
        from harness.cli.proof import prove_or_exit

        prove_or_exit()


PROOF = "Only show, on NumPy, that the gate can fail: planted defects."
ProofOption = Annotated[bool, typer.Option("--proof", callback=_prove, is_eager=True, help=PROOF)]

# Of `harness textbook`.
ROUNDS = "Of add + relu on (20, 100); the others take a tenth of them."
RoundsOption = Annotated[int, typer.Option(min=1, max=100_000, help=ROUNDS)]
RepetitionsOption = Annotated[
    int, typer.Option(min=1, max=1000, help="Of all rounds, in each form.")
]


def _print_version(asked: bool) -> None:
    if asked:
        from harness.cli.output import print_version

        print_version()


VersionOption = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print it and exit."),
]


def parse_threads(text: str | None) -> int | str | None:
    """Return the number that --threads names, or its text, for the protocol to accept or refuse."""
    return int(text) if text and is_count(text) else text


def is_count(text: str) -> bool:
    """Say whether a text is a number of things that a machine has, in plain digits."""
    return text.isascii() and text.isdecimal() and len(text) < 10
