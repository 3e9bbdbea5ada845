"""Every option and argument of the command line, declared once: a class for each verb.

What several verbs have is in a class that theirs inherit. `harness.cli.command` makes parameters of
the fields, so annotations are evaluated here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from harness.cli.device_options import ReplicaOptions
from harness.report.renderers import FORMATS

Texts = list[str] | None
Format = Literal[FORMATS]  # type: ignore[valid-type]
CONFIG = "backends.toml; by default the nearest one, from here upwards, if only you can write it."
ARMS = (
    "Arms as jax/keras, backends as jax, implementations as keras; several, also with commas. "
    "Where none is named, those that backends.toml names, or for compare all."
)
ONLY = "Of these, only this implementation or arm; may be repeated."
SPEC = "As in backends.toml, or a model of your own: FILE.py[:FUNCTION]. By default the first."
DATA = "FILE.py:FUNCTION, of a model of your own; by default data in the model's file."
DATASET = "Instead of the spec's. auto: MNIST, else digits."
PYTHON = "Run a backend with your own interpreter, as jax=../.venv/bin/python; may be repeated."
MAKE = "First make the environments that are missing, as harness setup does."
NO_WAIT = "Where another harness measures on this machine, exit with 2 at once."
SUMMARY = "Also write the tables there, as for a CI's summary."


@dataclass(frozen=True, kw_only=True)
class ConfigOptions:
    """Which project."""

    config: Annotated[Path | None, Option(envvar="HARNESS_CONFIG", help=CONFIG)] = None


@dataclass(frozen=True, kw_only=True)
class ProjectOptions(ConfigOptions):
    """Which project, and where its records are."""

    results: Annotated[Path | None, Option(help="By default results/ beside backends.toml.")] = None


@dataclass(frozen=True, kw_only=True)
class PythonOptions(ConfigOptions):
    """Which project, and with which interpreters."""

    python: Annotated[Texts, Option("--python", help=PYTHON)] = None


@dataclass(frozen=True, kw_only=True)
class ArmOptions:
    """Which arms."""

    names: Annotated[Texts, Argument(metavar="ARMS", help=ARMS)] = None
    only: Annotated[Texts, Option("--arm", help=ONLY)] = None
    also: Annotated[Texts, Option("--arms", hidden=True, help="As the arguments.")] = None

    @property
    def asked(self) -> tuple[str, ...]:
        """The arms, backends and implementations that are named."""
        return (*(self.names or ()), *(self.also or ()))


@dataclass(frozen=True, kw_only=True)
class SpecOptions(ConfigOptions):
    """Which spec; also of `harness textbook summary`."""

    spec: Annotated[str | None, Option(help=SPEC)] = None


@dataclass(frozen=True, kw_only=True)
class OwnDataOptions:
    """Which data of a model of the user's own."""

    data: Annotated[str | None, Option(help=DATA)] = None


@dataclass(frozen=True, kw_only=True)
class DatasetOptions:
    """Which dataset."""

    dataset: Annotated[Literal["auto", "mnist", "digits"] | None, Option(help=DATASET)] = None


@dataclass(frozen=True, kw_only=True)
class WaitOptions:
    """What to do where the machine is taken."""

    no_wait: Annotated[bool, Option("--no-wait", help=NO_WAIT)] = False


@dataclass(frozen=True, kw_only=True)
class SummaryOptions:
    """Where else the tables go."""

    markdown: Annotated[Path | None, Option(help=SUMMARY)] = None


PAGE = "Also write the page of figures, for a browser; without FILE: report.html in results."


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """Where the page of figures goes, if anywhere; see `harness.cli.surroundings`."""

    report: Annotated[Path | None, Option("--report", metavar="[FILE.html]", help=PAGE)] = None


@dataclass(frozen=True, kw_only=True)
class MeasuringOptions(
    ArmOptions,
    SpecOptions,
    DatasetOptions,
    ReplicaOptions,
    WaitOptions,
    PythonOptions,
    ProjectOptions,
):
    """What is measured, on what, and when: of every verb that trains."""

    setup: Annotated[bool, Option("--setup", help=MAKE)] = False

    threads: Annotated[
        str | None, Option(help="auto, or the number of cores for every backend.")
    ] = None


ROWS = "Print a line a run only: harness compare prints the table."


@dataclass(frozen=True, kw_only=True)
class TrainOptions(OwnDataOptions, MeasuringOptions):
    """Of `harness train`."""

    seed: Annotated[
        list[int] | None, Option(help="Instead of the protocol's seeds; may be repeated.")
    ] = None
    epochs: Annotated[int | None, Option(help="Instead of the protocol's.")] = None
    time_limit: Annotated[float | None, Option(help="Seconds for one run.")] = None
    rows: Annotated[bool, Option("--rows", help=ROWS)] = False


COMPARE_BASELINE = "The arm whose epoch time is 1.00: backend/implementation, or a backend."
NEWEST = "Only the table of the newest run, and what it answers."


@dataclass(frozen=True, kw_only=True)
class CompareOptions(ArmOptions, ProjectOptions):
    """Of `harness compare`."""

    baseline: Annotated[str | None, Option(help=COMPARE_BASELINE)] = None
    format: Annotated[Format, Option(help="How to print.")] = "terminal"
    output: Annotated[Path | None, Option(help="Write there instead of printing.")] = None
    newest: Annotated[bool, Option("--newest", help=NEWEST)] = False


@dataclass(frozen=True, kw_only=True)
class DataOptions(DatasetOptions, ProjectOptions):
    """Of `harness data`."""

    sample: Annotated[int, Option(help="The training sample to show as a picture.")] = 4
    png: Annotated[
        Path | None, Option(help="Also write a sheet of samples, ten of each class, as a PNG.")
    ] = None


BENCH_BASELINE = (
    "The arm whose epoch is 1.00, and whose code runs twice; by default that of [bench]."
)
BUDGET = (
    "After the first, no generation begins that would end later: 10m, 90s, 1h; by default that of "
    "[bench], or half as long again where 6 generations need it."
)
CHOOSE_BUDGET = (
    "After the first, no generation begins that would end later: 10m, 90s, 1h; by default 12m, or "
    "18m where 6 generations need it."
)
RESUME = "Go on with the newest session that is not complete."
AA = (
    "Whose code runs twice: the baseline's, or also an arm of each other backend, "
    "for its own A/A floor."
)
NO_PARITY = "Do not check first whether arms without a verdict agree."
SHOW = "Measure nothing: only show the newest session, with its forest plot in characters."
SELF_CHECK = "Train nothing: check what the figures stand on, the newest session's noise among it."


@dataclass(frozen=True, kw_only=True)
class SessionOptions(OwnDataOptions, SummaryOptions, PageOptions, MeasuringOptions):
    """What a session of live processes is, and where it is written."""

    show: Annotated[bool, Option("--show", help=SHOW)] = False

    baseline: Annotated[str | None, Option(help=BENCH_BASELINE)] = None
    generations: Annotated[
        int | None,
        Option(min=1, max=99, help="Fresh sets of processes; a 95 % interval needs 6."),
    ] = None
    blocks: Annotated[
        int | None, Option(min=1, max=99, help="Turns of each process, after its first epoch.")
    ] = None
    budget: Annotated[str | None, Option(help=BUDGET)] = None
    resume: Annotated[bool, Option("--resume", help=RESUME)] = False
    stop_after: Annotated[
        int | None, Option(min=1, help="End after so many generations; --resume goes on.")
    ] = None
    aa: Annotated[Literal["baseline", "each"] | None, Option("--aa", help=AA)] = None
    pin: Annotated[str | None, Option(help="Keep every worker to these cores, as 0,1.")] = None
    no_parity: Annotated[bool, Option("--no-parity", help=NO_PARITY)] = False
    json: Annotated[Path | None, Option(help="Also write everything there.")] = None
    csv: Annotated[Path | None, Option(help="Also write the table there, a row an arm.")] = None


@dataclass(frozen=True, kw_only=True)
class ReportOptions(ProjectOptions):
    """Of `harness report`."""

    session: Annotated[str | None, Option(help="By default the newest bench session.")] = None
    output: Annotated[Path | None, Option(help="By default report.html in results.")] = None
    png: Annotated[Path | None, Option(help="Also PNGs of the figures, into this folder.")] = None
    show: Annotated[bool, Option("--open", help="Open the page in a browser.")] = False


@dataclass(frozen=True, kw_only=True)
class BenchOptions(SessionOptions):
    """Of `harness bench`."""

    self_check: Annotated[bool, Option("--self-check", help=SELF_CHECK)] = False


@dataclass(frozen=True, kw_only=True)
class ChooseOptions(SessionOptions):
    """Of `harness choose`."""

    budget: Annotated[str | None, Option(help=CHOOSE_BUDGET)] = None


TO = (
    "Long tables, a tracker of experiments, or the newest session for github-action-benchmark or "
    "Bencher."
)
Target = Literal["csv", "parquet", "tensorboard", "mlflow", "wandb", "trackio", "github", "bencher"]


@dataclass(frozen=True, kw_only=True)
class ExportOptions(ProjectOptions):
    """Of `harness export`."""

    folder: Annotated[Path, Argument(help="Where the files go.")]
    to: Annotated[Target, Option(help=TO)] = "csv"


AGAINST = "A results folder with bench sessions, or a git revision: main, HEAD~1, v0.3.0."
TRACKED = Path("results/reference")  # what a revision has of results
CONFIRM = "Measure arms that look slower again, in fresh blocks; unconfirmed is exit 3."
TOLERANCE = "The slowdown that must be excluded for an arm to pass: 0.05 is 5 %."


@dataclass(frozen=True, kw_only=True)
class GateOptions(SummaryOptions, PageOptions, WaitOptions, PythonOptions, ProjectOptions):
    """Of `harness gate`."""

    against: Annotated[str, Option(help=AGAINST)]
    path: Annotated[Path, Option(help="With a revision: its results folder.")] = TRACKED
    confirm: Annotated[bool, Option("--confirm/--no-confirm", help=CONFIRM)] = True
    tolerance: Annotated[float, Option(min=0.02, max=1.0, help=TOLERANCE)] = 0.05
    json: Annotated[Path | None, Option(help="Also write what has become of each arm there.")] = (
        None
    )
    junit: Annotated[
        Path | None, Option(help="Also write JUnit XML there, a test case an arm.")
    ] = None
