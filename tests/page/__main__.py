"""Look at a report as a person would: both themes, two widths, the keyboard, print; keep pictures.

Needs chromium and chromedriver (on Debian: apt install chromium chromium-driver), and npm for
axe-core. Every check prints a line; one that does not hold makes the exit code 1.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from harness.cli.report_page import gather
from harness.report import html

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (1100, 320)
SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
AXE = "const done = arguments[0]; axe.run().then((found) => done(found.violations))"
OVERFLOW = "return document.documentElement.scrollWidth - innerWidth"
REQUESTS = "return performance.getEntriesByType('resource').map((each) => each.name)"
UNSEEN = """return [...document.querySelectorAll("details table")]
  .filter((each) => each.offsetHeight === 0).length"""


class Look:
    """The checks of one page, and what they found."""

    def __init__(self, file: Path, folder: Path, axe: str) -> None:
        self.address, self.folder, self.axe = file.resolve().as_uri(), folder, axe
        self.faults: list[str] = []

    def hold(self, what: str, fault: object) -> None:
        """Print whether a check holds: where there is no fault."""
        print(f"{'fails' if fault else 'holds'} {what}{f': {fault}' if fault else ''}")
        self.faults += [what] if fault else []

    def theme(self, theme: str, width: int) -> None:
        """Look at the page in a theme at a width, and keep a picture of each part."""
        with browser(theme, width) as driver:
            driver.get(self.address)
            where = f"{theme}, {width} pixels"
            self.hold(f"{where}: no sideways scrolling", max(0, driver.execute_script(OVERFLOW)))
            self.hold(f"{where}: no request", driver.execute_script(REQUESTS))
            self.hold(f"{where}: no console message", driver.get_log("browser"))
            driver.execute_script(self.axe)
            found = driver.execute_async_script(AXE)
            told = [f"{each['id']} ({len(each['nodes'])})" for each in found]
            self.hold(f"{where}: no violation that axe finds", ", ".join(told))
            parts = driver.find_elements(By.CSS_SELECTOR, "header, section")
            for number, part in enumerate(parts):
                name = part.get_attribute("id") or "head"
                picture = self.folder / f"{theme}-{width}-{number:02d}-{name}.png"
                driver.execute_script("arguments[0].scrollIntoView()", part)
                picture.write_bytes(part.screenshot_as_png)

    def keyboard(self) -> None:
        """Open a table, sort it and change the theme, by keys only."""
        with browser("light", 1100) as driver:
            driver.get(self.address)
            summary = driver.find_element(By.CSS_SELECTOR, "#forest summary")
            summary.send_keys(Keys.ENTER)
            is_open = driver.execute_script("return document.querySelector('#forest details').open")
            self.hold("keyboard: Enter opens a table", not is_open)
            before = column(driver)
            driver.find_elements(By.CSS_SELECTOR, "#forest thead button")[2].send_keys(Keys.ENTER)
            self.hold("keyboard: Enter sorts up", column(driver) != sorted(before))
            focused = driver.switch_to.active_element
            self.hold("keyboard: the heading keeps the focus", focused.tag_name != "button")
            focused.send_keys(Keys.SPACE)
            self.hold("keyboard: space sorts down", column(driver) != sorted(before, reverse=True))
            paper = "return getComputedStyle(document.body).backgroundColor"
            light = driver.execute_script(paper)
            driver.find_element(By.ID, "theme").send_keys(Keys.ENTER)
            self.hold("keyboard: the theme changes", light == driver.execute_script(paper))

    def printed(self) -> None:
        """Print to PDF: all tables are on paper, though they were closed."""
        with browser("dark", 1100) as driver:
            driver.get(self.address)
            pdf = driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
            content = base64.b64decode(pdf["data"])
            (self.folder / "report.pdf").write_bytes(content)
            self.hold("print: a PDF", not content.startswith(b"%PDF"))
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
            self.hold("print: every table is shown", driver.execute_script(UNSEEN))
            paper = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
            self.hold("print: black on white", "" if paper == "rgb(255, 255, 255)" else paper)


@contextmanager
def browser(theme: str, width: int) -> Iterator[webdriver.Chrome]:
    """Give a browser with a window of that width, whose user wants that theme."""
    options = webdriver.ChromeOptions()
    for switch in SWITCHES:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(tool("chromedriver")))
    size = {"width": width, "height": 1600, "deviceScaleFactor": 1, "mobile": False}
    wants: dict[str, Any] = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", wants)
    try:
        yield driver
    finally:
        driver.quit()


def column(driver: webdriver.Chrome) -> list[float]:
    """Return the ratios of the forest plot's table, from top to bottom."""
    cells = driver.find_elements(By.CSS_SELECTOR, "#forest tbody td:nth-child(3)")
    return [float((cell.get_attribute("textContent") or "").split()[0]) for cell in cells]


def tool(name: str) -> str:
    """Return where a program is."""
    found = shutil.which(name)
    if found is None:
        sys.exit(f"{name}: expected on PATH. On Debian: apt install chromium chromium-driver npm")
    return found


def axe_source(folder: Path) -> str:
    """Return axe-core, from npm."""
    command = (tool("npm"), "install", "--silent", "--prefix", str(folder), "axe-core@4")
    subprocess.run(command, check=True)
    return (folder / "node_modules/axe-core/axe.min.js").read_text("utf-8")


def main() -> None:
    """Look at the page of a results folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "reference")
    parser.add_argument("--folder", type=Path, default=ROOT / "results" / "page")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    file = asked.folder / "report.html"
    file.write_text(html.render(gather(asked.results)), "utf-8")
    look = Look(file, asked.folder, axe_source(asked.folder / "npm"))
    for theme in ("light", "dark"):
        for width in WIDTHS:
            look.theme(theme, width)
    look.keyboard()
    look.printed()
    print(f"pictures: {asked.folder}")
    sys.exit(1 if look.faults else 0)


if __name__ == "__main__":
    main()
