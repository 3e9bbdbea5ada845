"""Folders for the time of one task: a dead process's are removed, and nothing else is."""

import os
import signal
import subprocess
import sys

import pytest

from harness.spec.files import PREFIX, remove_leftovers, scratch
from tests.unit.test_plan import ROOT

OWN = """
import sys, time
from pathlib import Path
from harness.spec.files import scratch
with scratch(Path(sys.argv[1])) as folder:
    (folder / "inner").mkdir()
    (folder / "inner" / "file").write_text("x")
    (folder / "link").symlink_to(sys.argv[2])
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def mine(tmp_path):
    """A folder that no task may touch, with something in it."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "kept").write_text("kept")
    return folder


@pytest.fixture
def parent(tmp_path):
    folder = tmp_path / "parent"
    folder.mkdir()
    return folder


def owner(parent, mine):
    process = subprocess.Popen(
        [sys.executable, "-c", OWN, str(parent), str(mine)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


def end(process, how):
    process.send_signal(how)
    process.communicate(timeout=60)


def test_a_folder_is_its_owner_s_alone_and_gone_with_the_task(parent):
    with scratch(parent) as folder:
        assert folder.parent == parent
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_text("x")
        assert remove_leftovers([parent]) == [], "its owner lives"
    assert list(parent.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_its_links_lead_to_is_not(parent, mine):
    process, left = owner(parent, mine)
    assert remove_leftovers([parent]) == [], "its owner lives"
    end(process, signal.SIGKILL)
    assert [str(folder) for folder in remove_leftovers([parent])] == [left]
    assert list(parent.iterdir()) == []
    assert (mine / "kept").read_text() == "kept"


def test_of_several_owners_only_the_dead_ones_folders_are_removed(parent, mine):
    several = [owner(parent, mine) for _ in range(4)]
    for process, _ in several[::2]:
        end(process, signal.SIGKILL)
    removed = {str(folder) for folder in remove_leftovers([parent])}
    assert removed == {folder for _, folder in several[::2]}
    assert {str(folder) for folder in parent.iterdir()} == {folder for _, folder in several[1::2]}
    for process, _ in several[1::2]:
        end(process, signal.SIGTERM)


NAMES = (
    "harness-abcdefgh",
    "harness-parity-abcdefgh",
    f"{PREFIX}short",
    f"{PREFIX}abcdefghi",
    f"{PREFIX}ABCDEFGH",
    f"x{PREFIX}abcdefgh",
)


@pytest.mark.parametrize("name", [*NAMES, f"{PREFIX}abcdefg\n"])
def test_a_folder_of_another_name_is_left_alone(parent, name):
    (parent / name).mkdir(mode=0o700)
    assert remove_leftovers([parent]) == []
    assert (parent / name).is_dir()


def test_a_link_a_file_and_a_pipe_of_that_name_are_left_alone(parent, mine):
    link, file, pipe = (parent / f"{PREFIX}{kind:_<8}" for kind in ("link", "file", "pipe"))
    link.symlink_to(mine)
    file.write_text("x")
    os.mkfifo(pipe)
    assert remove_leftovers([parent]) == []
    assert len(list(parent.iterdir())) == 3
    assert (mine / "kept").is_file()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o722])
def test_a_folder_that_others_may_write_to_is_left_alone(parent, mode):
    folder = parent / f"{PREFIX}abcdefgh"
    folder.mkdir()
    folder.chmod(mode)
    assert remove_leftovers([parent]) == []
    assert folder.is_dir()


def test_another_user_s_folder_is_left_alone(parent, monkeypatch):
    folder = parent / f"{PREFIX}abcdefgh"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert remove_leftovers([parent]) == []
    assert folder.is_dir()


def test_a_parent_that_is_none_or_cannot_be_read_holds_nothing(tmp_path):
    (tmp_path / "file").write_text("x")
    assert remove_leftovers([tmp_path / "nowhere", tmp_path / "file"]) == []


def test_while_others_remove_leftovers_nobody_loses_its_folder(parent):
    sweep = "import sys, time\nfrom pathlib import Path\n"
    sweep += "from harness.spec.files import remove_leftovers\nend = time.monotonic() + 3\n"
    sweep += "while time.monotonic() < end: remove_leftovers([Path(sys.argv[1])])"
    sweepers = [
        subprocess.Popen([sys.executable, "-c", sweep, str(parent)], cwd=ROOT) for _ in range(2)
    ]
    n = 0
    while any(process.poll() is None for process in sweepers):
        with scratch(parent) as folder:
            (folder / "file").write_text("x")
            assert (folder / "file").read_text() == "x"
            n += 1
    assert n > 100
    assert [process.wait() for process in sweepers] == [0, 0]
    assert list(parent.iterdir()) == []
