"""Hostile surroundings: variables, limits, streams and folders that a process may start with."""

import os
import resource
import subprocess
import sys
from pathlib import Path

from hypothesis import strategies as st

from tests.attacks import arguments

ROOT = Path(__file__).resolve().parents[2]
PLACE = st.sampled_from(
    [
        "",
        " ",
        "gone",
        "a:b",
        "file",
        "fifo",
        "/dev/null",
        "/dev/full",
        "/",
        "/proc",
        "x" * 300,
        "\x1b[31m",
        "tmp",
        "~nobody",
    ]
)
VARIABLES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"), PLACE
        ),
        **dict.fromkeys(
            (
                "HARNESS_CACHE_DIR",
                "HARNESS_DATA_DIR",
                "HARNESS_CONFIG",
                "KERAS_HOME",
                "GITHUB_STEP_SUMMARY",
            ),
            PLACE,
        ),
        "LC_ALL": st.sampled_from(["C", "POSIX", "C.UTF-8", "en_US.ISO-8859-1", "xx_YY", ""]),
        "PYTHONUTF8": st.sampled_from(["0", "1"]),
        "PYTHONCOERCECLOCALE": st.just("0"),
        "PYTHONIOENCODING": st.sampled_from(["ascii", "latin-1", "utf-8", "cp437", "ascii:strict"]),
        "COLUMNS": st.sampled_from(["0", "1", "-5", "x", "40", "99999"]),
        "TERM": st.sampled_from(["", "dumb", "xterm-256color", "nonsense"]),
        "FORCE_COLOR": st.sampled_from(["", "1"]),
        "NO_COLOR": st.sampled_from(["", "1"]),
    },
)
LIMITS = st.sampled_from(
    [
        None,
        None,
        None,
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_FSIZE, 100),
        (resource.RLIMIT_NOFILE, 20),
    ]
)
STREAMS = st.sampled_from(["pipe", "pipe", "full", "closed", "reader gone", "all closed"])
WHERE = st.sampled_from(["project", "project", "gone"])
LINES = st.sampled_from(
    [
        *("compare", "data", "doctor", "train jax --epochs 1"),
        *("bench", "bench --show", "gate --against out", "textbook page"),
        *("textbook summary", "textbook momentum", "--help", "train --spec é"),
        *(
            "setup --dry-run",
            "parity --model model.py:build",
            "parity nobody",
            "data --png out/sheet.png",
        ),
    ]
).map(str.split)
ALLOWED = {0, 1, 2, 3, 4, 130, 141}


def prepared(streams, limit):
    """What the child does between fork and exec; no thread of this process can be in its way."""

    def prepare():
        if limit:
            resource.setrlimit(limit[0], (limit[1], limit[1]))
        for number in {"closed": (1,), "all closed": (0, 1, 2)}.get(streams, ()):
            os.close(number)

    return prepare


def processor_seconds():
    """What ended children have used of processors: unlike a clock's, the same on a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def start(line, folder, cache, variables, streams, limit, where):
    """Run the command to its end, and return its exit code and what it said on stderr."""
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HARNESS_MNIST_URL": "http://127.0.0.1:9/",
    }
    environment |= {
        "HOME": f"{folder}/home",
        "HARNESS_CACHE_DIR": str(cache),
        "XDG_STATE_HOME": f"{folder}/state",
    }
    environment |= {"TMPDIR": str(folder / "tmp"), **variables}
    reader, writer = os.pipe()
    if streams == "reader gone":
        os.close(reader)
    command = [sys.executable, "-m", "harness", *line]
    if where == "gone":
        (folder / "gone-folder").mkdir()
        command = [
            "sh",
            "-c",
            'cd gone-folder && rmdir ../gone-folder && exec "$@"',
            "sh",
            *command,
        ]
    with open("/dev/full", "wb") as full:
        output = {"full": full, "reader gone": writer}.get(streams, subprocess.PIPE)
        started = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            preexec_fn=prepared(streams, limit),  # noqa: PLW1509
        )
        os.close(writer)
        try:
            said = started.communicate(timeout=40)[1].decode(errors="replace")
        finally:
            started.kill()
    if streams != "reader gone":
        os.close(reader)
    return started.returncode, said


def check(case, folder, cache):
    """The command ends in time with a known code, without a traceback, and writes nowhere but in
    its own folders.
    """
    variables, limit, streams, where, line = case
    arguments.make_project(folder)
    (folder / "file").write_text("in the way")
    os.mkfifo(folder / "fifo")
    before = {each.name for each in folder.iterdir()}
    named = {value.split("/")[0] for value in variables.values()} | {"results"}
    began = processor_seconds()
    code, said = start(line, folder, cache, variables, streams, limit, where)
    seconds = processor_seconds() - began
    assert "Traceback" not in said, said
    assert "Exception ignored" not in said, said
    assert code in ALLOWED, said
    assert seconds < 10
    if code == 2 and "Usage:" not in said and streams != "all closed":
        assert said.strip()
        assert all(len(each) <= 300 for each in said.splitlines()), said
    assert {each.name for each in folder.iterdir()} - before <= named
    assert (folder / "file").read_text() == "in the way"


CASES = st.tuples(VARIABLES, LIMITS, STREAMS, WHERE, LINES)
