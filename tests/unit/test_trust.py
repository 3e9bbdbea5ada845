"""A backends.toml that was found, and not named, is run only where nobody else could have written
it.
"""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.spec import trust
from harness.spec.project import find, open_project

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT / "backends.toml"
STRANGER = 65534
ME = os.geteuid()


def made(folder, *, mode=0o755):
    """A project in a folder: the real configuration, and an environment whose Python says that it
    ran.
    """
    folder.mkdir(exist_ok=True)
    (folder / "backends.toml").write_bytes(REAL.read_bytes())
    (folder / "backends.toml").chmod(0o644)
    nox = [f".nox/{name}" for name in ("train-tf", "train-jax", "train-torch", "train-numpy")]
    for name in (*nox, ".harness/envs/jax-0"):
        python = folder / name / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\ntouch {folder}/ran\n")
        for each in (python, python.parent, python.parents[1], python.parents[2]):
            each.chmod(0o755)
    folder.chmod(mode)
    return folder


def harness(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("HARNESS_CONFIG", None)
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def status(owner=ME, mode=0o644, group=0):
    return os.stat_result((mode, 0, 0, 1, owner, group, 0, 0, 0, 0))


def test_nothing_is_started_from_a_folder_that_all_may_write_to(tmp_path):
    project = made(tmp_path / "shared", mode=0o777)
    if ME == 0:  # as found: another user's file, in a folder of all
        for each in (project / "backends.toml", project):
            os.chown(each, STRANGER, STRANGER)
    below = project / "below"
    below.mkdir()
    done = harness(below, "doctor")
    assert done.returncode == 2
    who = "belongs to user" if ME == 0 else "everybody may write to it"
    assert who in done.stderr
    assert str(project) in done.stderr
    assert f"--config {project / 'backends.toml'}" in done.stderr
    assert len(done.stderr.strip()) <= 300
    assert not (project / "ran").exists()


def test_naming_the_file_says_that_it_is_meant(tmp_path):
    project = made(tmp_path / "shared", mode=0o777)
    harness(project, "doctor", "--config", str(project / "backends.toml"))
    assert (project / "ran").exists()


def test_one_s_own_project_below_a_sticky_folder_is_run(tmp_path):
    tmp_path.chmod(0o1777)
    project = made(tmp_path / "mine")
    harness(project, "doctor")
    assert (project / "ran").exists()


def test_one_s_own_file_in_a_sticky_folder_is_found(tmp_path):
    project = made(tmp_path / "sticky", mode=0o1777)
    assert find(project) == project / "backends.toml"


@pytest.mark.parametrize(
    "part",
    [
        *(".nox", ".nox/train-jax", ".nox/train-jax/bin", ".nox/train-jax/bin/python"),
        *(".harness", ".harness/envs", ".harness/envs/jax-0", ".harness/envs/jax-0/bin/python"),
        "backends.toml",
    ],
)
def test_each_part_on_the_way_to_a_python_is_looked_at(tmp_path, monkeypatch, part):
    project = made(tmp_path / "mine")
    monkeypatch.chdir(project)
    assert open_project(None)[0] == project
    (project / part).chmod(0o757)
    with pytest.raises(ConfigError) as caught:
        open_project(None)
    assert str(caught.value).startswith(f"{project / part}: everybody may write to it")
    assert open_project(project / "backends.toml")[0] == project


def test_without_a_file_a_stranger_s_environment_in_the_folder_is_not_run(tmp_path, monkeypatch):
    project = made(tmp_path / "mine")
    (project / "backends.toml").unlink()
    monkeypatch.chdir(project)
    assert open_project(None)[0] == project
    (project / ".harness" / "envs").chmod(0o777)
    with pytest.raises(
        ConfigError, match=r"envs: everybody may write .* Go to a folder of your own"
    ):
        open_project(None)


def test_behind_a_link_the_folder_is_looked_at_too(tmp_path, monkeypatch):
    project, elsewhere = made(tmp_path / "mine"), tmp_path / "elsewhere"
    (project / ".nox" / "train-jax").rename(elsewhere)
    (project / ".nox" / "train-jax").symlink_to(elsewhere)
    monkeypatch.chdir(project)
    assert open_project(None)[0] == project
    elsewhere.chmod(0o777)
    with pytest.raises(ConfigError, match=f"^{elsewhere}: everybody may write to it"):
        open_project(None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (status(), None),
        (status(owner=0), None),
        (status(owner=STRANGER), "belongs to"),
        (status(mode=stat.S_IFREG | 0o646), "everybody may write"),
        (status(mode=stat.S_IFDIR | 0o777), "everybody may write"),
        (status(mode=stat.S_IFDIR | 0o1777), None),
        (status(mode=stat.S_IFREG | 0o1666), "everybody may write"),
        (status(mode=stat.S_IFLNK | 0o777), None),
        (status(owner=STRANGER, mode=stat.S_IFLNK | 0o777), "belongs to"),
    ],
)
def test_owner_and_rights_decide(given, said):
    found = trust.distrust_reason(given, ME)
    assert found is None if said is None else said in found


class Account:
    def __init__(self, name, group):
        self.pw_name, self.pw_gid = name, group


class Group:
    def __init__(self, name, members):
        self.gr_name, self.gr_mem = name, members


@pytest.mark.parametrize(
    ("name", "members", "others", "private"),
    [
        ("ann", [], [], True),  # umask 002 and a group of one's own
        ("ann", ["ann"], [], True),
        ("ann", ["bob"], [], False),
        ("ann", [], ["bob"], False),  # whose primary group it is too
        ("staff", [], [], False),
    ],
)
def test_a_group_of_one_s_own_may_write(monkeypatch, name, members, others, private):
    ann = Account("ann", 1000)  # accounts of this machine cannot be made by a test
    monkeypatch.setattr(trust.pwd, "getpwuid", lambda user: ann)
    monkeypatch.setattr(
        trust.pwd, "getpwall", lambda: [ann, *(Account(other, 1000) for other in others)]
    )
    monkeypatch.setattr(trust.grp, "getgrgid", lambda group: Group(name, members))
    for mode in (stat.S_IFREG | 0o664, stat.S_IFDIR | 0o775):
        found = trust.distrust_reason(status(owner=1000, mode=mode, group=1000), 1000)
        assert (found is None) == private
