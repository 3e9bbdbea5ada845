"""What `harness sweep`, `cell` and `map` take; see `harness.cli.options`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from harness.cli.options import ProjectOptions, PythonOptions, SummaryOptions

NAME = "As [sweeps.NAME] in backends.toml; by default the first."
ENGINE = "local, slurm, ray, one of [engines] in backends.toml, or MODULE:FUNCTION."
IN_FLIGHT = "Cells that the engine is given at once; by default its own number."
DRY_RUN = "Run nothing: show the cells, which of them are done, and how long the others may take."
BUDGET = "After the first, no cell begins that would end later: 10m, 90s, 1h."
REFINE = "Only cells along the borders between winners, which short sessions look for first."
NO_PARITY = "Do not check first whether arms without a verdict agree."
PAGE = "Also write it there as a page for a browser, with a figure (the extra report)."
STRICT = "No false difference in the whole map, with 95 % confidence, instead of 5 % false ones."
FILE = "Written by harness sweep: which cell it is, and where its session is kept."


@dataclass(frozen=True, kw_only=True)
class MapFiles(SummaryOptions):
    """Where a map goes, and how strict it is."""

    strict: Annotated[bool, Option("--strict", help=STRICT)] = False
    json: Annotated[Path | None, Option(help="Also write everything there.")] = None
    csv: Annotated[Path | None, Option(help="Also write the map there, a row a cell.")] = None
    page: Annotated[Path | None, Option(help=PAGE)] = None


@dataclass(frozen=True, kw_only=True)
class SweepOptions(MapFiles, PythonOptions, ProjectOptions):
    """Of `harness sweep`."""

    name: Annotated[str | None, Argument(help=NAME)] = None
    engine: Annotated[str, Option(help=ENGINE)] = "local"
    in_flight: Annotated[int | None, Option(min=1, max=1000, help=IN_FLIGHT)] = None
    dry_run: Annotated[bool, Option("--dry-run", help=DRY_RUN)] = False
    budget: Annotated[str | None, Option(help=BUDGET)] = None
    refine: Annotated[bool, Option("--refine", help=REFINE)] = False
    no_parity: Annotated[bool, Option("--no-parity", help=NO_PARITY)] = False


@dataclass(frozen=True, kw_only=True)
class CellOptions:
    """Of `harness cell`."""

    file: Annotated[Path, Argument(help=FILE)]


@dataclass(frozen=True, kw_only=True)
class MapOptions(MapFiles, ProjectOptions):
    """Of `harness map`."""

    name: Annotated[str | None, Argument(help=NAME)] = None
