"""What a process may be started with and in: a sentence with the cause, or it works. Real
processes; more in tests/attacks.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import surroundings
from harness.engine import launch
from harness.errors import ConfigError
from harness.spec.data import mnist
from tests.attacks import arguments

ROOT = Path(__file__).resolve().parents[2]


def shell(script, folder, **variables):
    """Run a shell script in a folder in which `H` is the harness command."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHON": sys.executable,
        **variables,
    }
    command = ["/bin/sh", "-c", 'H() { "$PYTHON" -m harness "$@"; }; ' + script]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=100,
        check=False,
    )


@pytest.fixture
def _signals():
    """What `main` makes of signals is not left to the tests after it."""
    before = {
        each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.fixture
def project(tmp_path):
    shutil.copy(ROOT / "backends.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "script",
    ["H textbook summary >/dev/full", "H --help >/dev/full", "H textbook page >/dev/full"],
)
def test_a_full_output_is_said(project, script):
    done = shell(script, project)
    assert (done.returncode, done.stderr) == (
        2,
        "the output, or a file: cannot be written (No space left on device)\n",
    )


@pytest.mark.parametrize("script", ["H textbook summary >&-", "H textbook summary >&- 2>&- <&-"])
def test_a_closed_output_is_no_fault(project, script):
    assert shell(script, project).returncode == 0


def test_a_reader_that_went_away_ends_the_command_in_silence(project):
    done = shell("{ H textbook summary; echo code $? >&2; } | true", project)
    assert done.stderr == "code 141\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_verb_s_letters_reach_an_output_that_has_fewer(project, encoding):
    done = shell(
        "H textbook summary && H train --spec é; test $? -eq 2",
        project,
        PYTHONIOENCODING=encoding,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_removed_working_folder_is_named(project):
    done = shell("mkdir gone && cd gone && rmdir ../gone && H compare", project)
    assert (done.returncode, done.stderr) == (
        2,
        "the working folder: cannot be read (No such file or directory). Go to another one, as: "
        "cd ~\n",
    )


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize(
    "option", ["--spec", "--results", "--arm", "--dataset", "--threads", "--config", "--device"]
)
def test_an_empty_option_starts_nothing(project, capsys, monkeypatch, option):
    for given in ([option, ""], [f"{option}="], [option, " "]):
        code, said = arguments.call(["train", *given], project, capsys, monkeypatch)
        assert code == 2
        assert said.err.startswith(f"{option}: expected a value; received ")
    assert [each.name for each in project.iterdir()] == ["backends.toml"]


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize("value", ["9" * 5000, "x" * 100_000, "\x1b[31m\u202e"])
def test_a_hostile_value_is_quoted_in_part(project, capsys, monkeypatch, value):
    for option in ("--epochs", "--threads", "--spec", "--config", "--dataset", "--results"):
        verb = "compare" if option == "--results" else "train"
        code, said = arguments.call([verb, option, value], project, capsys, monkeypatch)
        assert code == 2
        assert all(len(line) <= 300 and line.isprintable() for line in said.err.split("\n"))


def test_a_home_that_is_none_is_never_the_root_nor_the_working_folder(monkeypatch):
    monkeypatch.delenv("HARNESS_CACHE_DIR", raising=False)
    # What platformdirs answers to a user without a home, which no test can make.
    monkeypatch.setattr(mnist, "user_cache_path", lambda name: Path("~") / ".cache" / name)
    with pytest.raises(
        mnist.DataError,
        match=r"expected a home folder; received ~/.+Set HOME, or HARNESS_CACHE_DIR",
    ):
        mnist.cache_folder()
    for home in ("", "here"):
        monkeypatch.setenv("HOME", home)
        surroundings.prepare()
        assert "HOME" not in os.environ


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Have TMPDIR name a folder of that name below the test's, and Python look at it anew."""

    def name(text):
        folder = tmp_path / text
        folder.mkdir(exist_ok=True)
        monkeypatch.setenv("TMPDIR", str(folder))
        monkeypatch.setattr(launch.tempfile, "tempdir", None)
        return folder

    yield name
    monkeypatch.undo()


def test_a_colon_in_the_temporary_folder_is_named_and_no_environment_is_called_broken(temporary):
    folder = temporary("a:b")
    with pytest.raises(ConfigError) as caught:
        launch.check_temporary_folder()
    assert str(caught.value) == (
        "TMPDIR: expected a folder without ':', which separates folders in PYTHONPATH; "
        f"received {folder}"
    )


def test_a_full_temporary_folder_is_named(temporary, monkeypatch):
    folder = temporary("small")
    mount = [
        shutil.which("mount") or "mount",
        "-t",
        "tmpfs",
        "-o",
        "size=64k",
        "tmpfs",
        str(folder),
    ]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0
    try:
        if (
            not mounted
        ):  # without the right to mount: as if the whole disk were less than a worker needs
            monkeypatch.setattr(launch, "TEMPORARY_BYTES", 2**80)
        with pytest.raises(
            ConfigError,
            match=(
                rf"^TMPDIR: {folder}: expected \d+ MiB free; received \d+\. Set it to another "
                r"folder$"
            ),
        ):
            launch.check_temporary_folder()
    finally:
        if mounted:
            subprocess.run([shutil.which("umount") or "umount", str(folder)], check=True)


def test_a_sound_temporary_folder_is_taken(temporary):
    temporary("sound")
    launch.check_temporary_folder()


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("bench --report", "bench --report=auto"),
        ("bench --report jax/keras", "bench --report=auto jax/keras"),
        ("bench --report --show", "bench --report=auto --show"),
        ("bench --report page.html jax", "bench --report page.html jax"),
        ("bench --report=page jax", "bench --report=page jax"),
        ("report --open", "report --open"),
        ("", ""),
    ],
)
def test_report_may_leave_out_its_file(given, read):
    assert surroundings.name_report(given.split()) == read.split()
