"""`harness report`: one self-contained HTML page of what the records say. Needs no backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import (
    ConfigOption,
    OpenOption,
    PngFolderOption,
    ReportOutputOption,
    ResultsOption,
    SessionOption,
)
from harness.cli.output import say
from harness.cli.project import open_project
from harness.errors import EnvironmentMissing, StoreError

if TYPE_CHECKING:
    from harness.report.charts import Page

TYPE = "Type: nox -s report, or: pip install 'keras-backend-harness[report]'"
WIDTH = 680  # pixels of a PNG, before it is doubled


def report(
    session: SessionOption = None,
    output: ReportOutputOption = None,
    png: PngFolderOption = None,
    open: OpenOption = False,
    results: ResultsOption = None,
    config: ConfigOption = None,
) -> None:
    """Write one HTML page of what the records say: figures with their tables, for a browser.

    Args:
        session: the id of a bench session; by default the newest.
        output: the file; by default report.html in the results folder.
        png: a folder for a PNG of each figure.
        open: show the page in a browser.
        results: the results folder.
        config: backends.toml, beside which results/ lies by default.
    """
    _check_libraries()
    from harness.cli.report_page import gather
    from harness.report import html

    folder = results or open_project(config).results
    page = gather(folder, session)
    target = output or folder / "report.html"
    text = html.render(page)
    _write(target, "--output" if output else "results", text.encode())
    if png is not None:
        _write_pictures(page, png)
    n_pictures = sum(chart.picture is not None for chart in page.charts)
    say(f"{target}: {n_pictures} figures, {len(text.encode()) / 1000:.0f} kB")
    if open:
        import webbrowser

        webbrowser.open(target.resolve().as_uri())


def _check_libraries() -> None:
    """Raise EnvironmentMissing, with what to type, where a library of the extra is missing."""
    from importlib.util import find_spec

    needed = {"altair": "Altair", "vl_convert": "vl-convert", "jinja2": "Jinja2"}
    missing = [name for module, name in needed.items() if find_spec(module) is None]
    if missing:
        raise EnvironmentMissing(f"harness report: {', '.join(missing)} is not installed. {TYPE}")


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
