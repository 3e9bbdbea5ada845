"""The pytest plugin, in a pytest of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEST = """
def test_my_model(backends_agree):
    raise AssertionError("it is not reached")
"""


def run(folder, *arguments):
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HARNESS", "PYTEST"))
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_imports_nothing_before_a_test_asks_for_it(tmp_path):
    script = "import sys, pytest; before = set(sys.modules); import harness.pytest_plugin; "
    done = run(tmp_path, "-c", f"{script}print(sorted(set(sys.modules) - before))")
    assert done.stdout.strip() == "['harness', 'harness.pytest_plugin']", done.stderr


def test_a_backend_without_an_environment_is_an_error_with_what_to_type(tmp_path):
    (tmp_path / "backends.toml").write_text("[backends.jax]\n[backends.torch]\n")
    (tmp_path / "test_mine.py").write_text(TEST)
    plugin = ("-m", "pytest", "-p", "harness.pytest_plugin", "-q", "test_mine.py")
    done = run(tmp_path, *plugin)
    assert done.returncode == 1
    assert "1 error" in done.stdout
    assert "jax: environment missing. Run: harness setup jax" in done.stdout
    named = run(tmp_path, *plugin, "--harness-backends", "jax,numpy")
    assert "backend: expected one of jax, torch; received 'numpy'" in named.stdout
