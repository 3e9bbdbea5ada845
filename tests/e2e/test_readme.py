"""The console blocks of README and docs/, typed for real in a fresh clone with warm environments;
a plan of minutes is made small, the words are not.

A command that takes too long even so must stand, word for word, in what CI runs.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
MODEL = Path(__file__).parent / "models" / "two_inputs.py"
IN_CI = ("nox -s tests", "nox -s parity")
SMALL = {
    r"^arms = \[.*?\]": 'arms = ["keras"]',
    r"^epochs = 5": "epochs = 2",
    r"units = 512": "units = 64",
    r"^generations = \d+": "generations = 1",
}
SMALL |= {
    r"^blocks = \d+": "blocks = 1",
    r"^\[backends\.numpy\](.|\n)*": "",
}  # NumPy has no arm "keras"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def commands():
    """Every command of the console blocks once, in their order, without the remark behind it."""
    lines = [
        line.split("  #")[0].strip() for block in blocks("console") for line in block.splitlines()
    ]
    return tuple(dict.fromkeys(line for line in lines if line))


@pytest.fixture(scope="module")
def clone(tmp_path_factory, older_keras):
    """A clone as a user has it, with the backends' environments, the files that the pages tell to
    write, and a small plan.
    """
    root = tmp_path_factory.mktemp("readme") / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(root)], check=True)  # noqa: S607
    config = root / "backends.toml"
    text = config.read_text(encoding="utf-8")
    for pattern, small in SMALL.items():
        text = re.sub(pattern, small, text, flags=re.MULTILINE)
    config.write_text(text, encoding="utf-8")
    (root / ".nox").mkdir()
    for environment in (ROOT / ".nox").glob("train-*"):
        (root / ".nox" / environment.name).symlink_to(environment.resolve())
    (root / ".nox" / "train-jax-314").symlink_to(older_keras[1])
    shutil.copy(MODEL, root / "my_model.py")
    (own_test,) = [block for block in blocks("python") if "assert_backends_agree" in block]
    (root / "test_my_model.py").write_text(own_test, encoding="utf-8")
    return root


def test_there_are_blocks_and_each_command_left_to_ci_is_on_a_page_and_a_line_of_what_ci_runs():
    assert len(blocks("console")) >= 6
    assert set(IN_CI) <= set(commands())
    ci = [line.strip() for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()]
    assert set(IN_CI) <= set(ci)


def cases():
    """The commands that CI does not run by itself. The gate and its sessions are long tests."""
    return [
        pytest.param(command, marks=[pytest.mark.long] if is_long(command) else [])
        for command in commands()
        if command not in IN_CI
    ]


def is_long(command):
    own = re.search(r"-- (choose|train|bench) my_model", command)  # see test_own_model
    return command == "nox -s bench" or " before" in command or own


@pytest.mark.parametrize("command", cases())
def test_a_command_of_the_pages_does_in_a_fresh_clone_what_it_is_there_for(clone, command):
    plain = (clone / "backends.toml").read_text(encoding="utf-8")
    if "jax-314" in command:
        (backend,) = [block for block in blocks("toml") if "[backends.jax-314]" in block]
        (clone / "backends.toml").write_text(f"{plain}\n{backend}", encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],  # noqa: S607
        cwd=clone,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    (clone / "backends.toml").write_text(plain, encoding="utf-8")
    said = done.stdout + done.stderr
    few = (
        re.search(r"bench|gate|choose", command) and "exit code 3" in said
    )  # one generation is too few to be sure, and that is said
    assert done.returncode == 0 or few, said
    assert "Traceback" not in said
