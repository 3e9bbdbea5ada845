"""`harness parity --show`: the newest check again, with its heat map; it exits as that did."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.cli.answer import Answer
from harness.cli.output import say
from harness.cli.parity_options import ParityOptions
from harness.cli.project import open_project
from harness.cli.report import write_page
from harness.errors import StoreError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.records.parity import Parity
    from harness.records.user_model import ModelParity
    from harness.report.document import Document

OPEN = ("chaotic", "inconclusive", "differ", "undecided", "no majority")  # nobody can tell


def code_of(check: Parity | ModelParity) -> int:
    """Return the exit code that a check's verdict means."""
    if check.verdict == "agrees":
        return 0
    return 3 if check.verdict in OPEN else 1


def show_newest(options: ParityOptions) -> Answer:
    """Return the newest check, of the model that is named where one is."""
    from harness.cli.report_page import gather_check
    from harness.records import store
    from harness.records.files import left_out

    results = options.results or open_project(options.config).results
    loaded = store.load_all(results)
    for entry in loaded.rejected:
        say(f"! {left_out(entry)}", "yellow", stderr=True)
    checks = _of_model(loaded.models, options.model) if options.model else loaded.checks
    if not checks:
        of = f" of {shown(options.model)}" if options.model else ""
        hint = f"harness parity {options.model or ''}".rstrip()
        raise StoreError(f"{results}: no parity check{of} to show. Run: {hint}")
    found = max(checks, key=lambda check: check.started_at)
    return Answer(
        document=_drawn(found),
        record=found,
        exit_code=code_of(found),
        files={name: getattr(options, name) for name in ("json", "junit", "markdown")},
        for_summary=True,
        write_page=lambda: write_page(
            options.report, results, lambda: gather_check(results, found.run_id)
        ),
    )


def _of_model(checks: Iterable[ModelParity], model: str) -> tuple[ModelParity, ...]:
    """Return the checks of a model: FILE:FUNCTION, or FILE for whichever function."""
    return tuple(each for each in checks if model in (each.model, each.model.rpartition(":")[0]))


def _drawn(check: Parity | ModelParity) -> Document:
    """Return what a check says, with its chart."""
    from harness.experiments.parity import charts, document, model_charts, model_document
    from harness.records.parity import Parity

    if isinstance(check, Parity):
        chart = charts.heat({arm.name: arm for arm in check.arms})
        composed = document.compose(check)
    else:
        chart, composed = model_charts.layers(check), model_document.compose(check)
    return replace(composed, charts=(chart,)) if chart else composed
