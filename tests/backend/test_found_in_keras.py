"""Each script of docs/found-in-keras.md prints, on every backend, what the page says it prints."""

import re
import subprocess
from pathlib import Path

import pytest

from harness.engine import launch
from tests.backend.conftest import CONFIG, ROOT

PAGE = (ROOT / "docs" / "found-in-keras.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (.+?)\n(.+?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
FINDINGS = [
    (
        title,
        re.search(r"^```python\n(.+?)^```", text, flags=re.MULTILINE | re.DOTALL)[1],
        re.findall(r"^\| (\w+) \| `(.+)` \|$", text, flags=re.MULTILINE),
    )
    for title, text in SECTIONS
]


def printed(script, backend, folder):
    """Return what a script prints last under a backend, in that folder."""
    known = CONFIG.backends[backend]
    done = subprocess.run(
        [str(launch.interpreter_of(backend, known, ROOT).path), "-c", script],
        cwd=folder,
        env=launch.worker_variables(known, "cpu", "auto") | {"KERAS_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_a_script_needs_keras_alone_and_has_at_most_15_lines_of_code():
    for _, script, _ in FINDINGS:
        modules = set(re.findall(r"^(?:import|from) (\w+)", script, flags=re.MULTILINE))
        assert modules <= {"keras", "numpy"}
        assert len([line for line in script.splitlines() if line.strip()]) <= 15


@pytest.mark.long
@pytest.mark.parametrize(
    ("title", "script", "outputs"), FINDINGS, ids=[each[0] for each in FINDINGS]
)
def test_a_finding_shows_itself_on_every_backend_as_the_page_says(
    title, script, outputs, tmp_path: Path
):
    assert {backend for backend, _ in outputs} == {"tensorflow", "jax", "torch"}
    for backend, expected in outputs:
        assert printed(script, backend, tmp_path) == expected, backend
