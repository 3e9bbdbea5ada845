"""`harness report`: one self-contained HTML page of what the records say. Needs no backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.command import command
from harness.cli.options import ReportOptions
from harness.cli.output import say
from harness.cli.project import open_project
from harness.cli.surroundings import AUTO
from harness.errors import EnvironmentMissing, StoreError

if TYPE_CHECKING:
    from harness.report.charts import Page

TYPE = "Type: nox -s report, or: pip install 'keras-backend-harness[report]'"
FILE = "report.html"
WIDTH = 680  # pixels of a PNG, before it is doubled


@command(ReportOptions)
def report(options: ReportOptions) -> None:
    """Write one HTML page of what the records say: figures with their tables, for a browser."""
    check_libraries("harness report")
    from harness.cli.report_page import gather

    folder = options.results or open_project(options.config).results
    page = gather(folder, options.session)
    target = options.output or folder / FILE
    _write_html(page, target, "--output" if options.output else "--results")
    if options.png is not None:
        _write_pictures(page, options.png)
    if options.show:
        import webbrowser

        webbrowser.open(target.resolve().as_uri())


def prepare_page(asked: Path | None) -> None:
    """Return if the page that --report asks for can be drawn: asked before anything is measured.

    Raises:
        EnvironmentMissing: a library is missing; says what to type.
    """
    if asked is not None:
        check_libraries("--report")


def write_page(asked: Path | None, results: Path, gather: Callable[[], Page]) -> None:
    """Write the page of figures where --report asks for one.

    Args:
        asked: the option's value.
        results: the folder in which it is written where no file is named.
        gather: returns the page.
    """
    if asked is not None:
        target = results / FILE if str(asked) == AUTO else asked
        _write_html(gather(), target, "--report")


def _write_html(page: Page, target: Path, option: str) -> None:
    from harness.report import html

    content = html.render(page).encode()
    _write(target, option, content)
    n_pictures = sum(chart.picture is not None for chart in page.charts)
    say(f"{target}: {n_pictures} figures, {len(content) / 1000:.0f} kB")


def check_libraries(verb: str) -> None:
    """Raise EnvironmentMissing, with what to type, where a library of the extra is missing."""
    from importlib.util import find_spec

    from harness.report.document import listed

    needed = {"altair": "Altair", "vl_convert": "vl-convert", "jinja2": "Jinja2"}
    missing = [name for module, name in needed.items() if find_spec(module) is None]
    if missing:
        expected = f"expected {listed(needed.values())}; not installed: {', '.join(missing)}"
        raise EnvironmentMissing(f"{verb}: {expected}. {TYPE}")


def _write(file: Path, option: str, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise StoreError(f"{option}: {file}: cannot be written ({error.strerror})") from None


def _write_pictures(page: Page, folder: Path) -> None:
    """Write a PNG of each picture in each theme."""
    from harness.report.figures import paint

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"--png: {folder}: cannot be made ({error.strerror})") from None
    for chart in page.charts:
        if chart.picture is not None:
            for theme in paint.THEMES:
                file = folder / f"{chart.name}-{theme}.png"
                _write(file, "--png", paint.png(chart.picture, theme, WIDTH))
