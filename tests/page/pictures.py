"""Draw the README's picture from the reference session: `python -m tests.page.pictures`."""

from pathlib import Path

from harness.cli.report_page import gather
from harness.report.figures import paint

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
SESSION = "20261123T202318Z-ee119b"
WIDTH = 680


def draw(theme: str) -> str:
    """Return the forest plot of the README's table in a theme."""
    page = gather(ROOT / "results" / "reference", SESSION)
    forest = next(chart for chart in page.charts if chart.name == "forest")
    return paint.alone(forest.picture, theme, WIDTH)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for each in paint.THEMES:
        (IMAGES / f"forest-{each}.svg").write_text(draw(each), encoding="utf-8")
