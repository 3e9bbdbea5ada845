"""What `harness survey` takes; see `harness.cli.options`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from harness.cli.device_options import DeviceOptions
from harness.cli.options import ProjectOptions, Texts, WaitOptions

ONLY = "A name of Keras's or a pattern: Dense, ops.*; may be repeated."
QUICK = "A few items of each kind, without their variations."
AGAIN = "Begin anew, where a survey of the same versions would go on."
BACKEND = "With --against: a backend that has another Keras, say, under a name of its own."
AGAINST = "Show what differs between --backend and this one: two backends of backends.toml."
SHOW = "Compute nothing: only show the newest survey."
JUNIT = "Also write JUnit XML there, a test case for each name of Keras's."


@dataclass(frozen=True, kw_only=True)
class SurveyOptions(DeviceOptions, WaitOptions, ProjectOptions):
    """Of `harness survey`."""

    names: Annotated[
        Texts, Argument(metavar="BACKENDS", help="All that have Keras where none is named.")
    ] = None
    backend: Annotated[str | None, Option("--backend", help=BACKEND)] = None
    against: Annotated[str | None, Option("--against", help=AGAINST)] = None
    only: Annotated[Texts, Option(help=ONLY)] = None
    quick: Annotated[bool, Option("--quick", help=QUICK)] = False
    again: Annotated[bool, Option("--again", help=AGAIN)] = False
    show: Annotated[bool, Option("--show", help=SHOW)] = False
    markdown: Annotated[Path | None, Option(help="Also write it there, as Markdown.")] = None
    json: Annotated[Path | None, Option(help="Also write everything there.")] = None
    junit: Annotated[Path | None, Option(help=JUNIT)] = None

    @property
    def asked(self) -> tuple[str, ...]:
        """The backends that are named."""
        return (*(self.names or ()), *filter(None, (self.backend, self.against)))
