"""What attacks are made of: records changed at random, text that is a command somewhere, files that
are none.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference"
N_CASES = int(os.environ.get("HARNESS_ATTACKS", "0"))  # of each class; 0: the class's own number

SETTINGS: dict[str, Any] = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "phases": (Phase.explicit, Phase.generate, Phase.shrink),
    "suppress_health_check": list(HealthCheck),
    "print_blob": False,
}


def cases(n: int) -> settings:
    """Return the fixed profile with so many generated cases."""
    return settings(max_examples=N_CASES or n, **SETTINGS)


class Hung(AssertionError):
    """What ran took longer than it may."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail where what runs inside takes longer: a blocked system call is interrupted."""

    def late(number: int, frame: object) -> None:
        raise Hung(f"longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# Text

COMMANDS = (
    *(
        "\x1b[31m",
        "\x1b]0;title\x07",
        "\x1b[2J",
        "\x9b31m",
        "\x85",
        "\x00",
        "\x07",
        "\x08",
        "\x7f",
        "\r",
        "\n",
        "\r\n",
        "\t",
    ),
    *(
        "\u202e",
        "\u2066",
        "\u200f",
        "\u061c",
        "\u2028",
        "\u2029",
        "\ufeff",
        "\u00ad",
        "\ufffe",
        "\uffff",
        "\U000e0041",
    ),
    *(
        "[red]",
        "[/]",
        "[/red]",
        "[link=http://a.example]x[/link]",
        "[bold",
        "\\[",
        ":smile:",
        "{0}",
        "%s",
        "{task.fields[x]}",
    ),
    *("=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\uff1d1", " =1", '"', "'", ",", ";"),
    *(
        "<script>",
        "<img src=x onerror=y>",
        "</testsuite>",
        "<!--",
        "]]>",
        "&amp;",
        "&",
        "<![CDATA[",
    ),
    *(
        "|",
        "\\|",
        "| a | b |",
        "`",
        "```",
        "**",
        "# x",
        "> x",
        "- x",
        "---",
        "![x](http://a.example/x.png)",
        "[x](http://a.example)",
    ),
    *("https://a.example", "\u0661", "\u0301" * 20, "\U0001f600", "é", "a" * 400),
)
TEXTS = st.lists(
    st.one_of(st.sampled_from(COMMANDS), st.text(max_size=8).filter(str.isprintable)),
    min_size=1,
    max_size=5,
).map("".join)

# Values

EXTREMES = (
    *(10**400, -(10**400), 10**15, 2**53, 2**53 + 1, 2**63, -(2**63) - 1, -1, 0, 1, 100, True),
    *(
        5e-324,
        1e-300,
        1e-9,
        1e308,
        -1e308,
        1e39,
        -0.0,
        0.5,
        float("nan"),
        float("inf"),
        float("-inf"),
    ),
)
NUMBERS = st.one_of(
    st.sampled_from(EXTREMES),
    st.integers(),
    st.floats(),
    st.integers(min_value=0, max_value=10),
    st.floats(0, 2),
)


class Nested:
    """Lists in lists, so deep; `written` makes JSON of them, which `json` itself cannot."""

    def __init__(self, depth: int) -> None:
        self.depth = depth

    def __repr__(self) -> str:
        return f"Nested({self.depth})"


NESTED = st.sampled_from((10, 200, 2000, 20_000)).map(Nested)
VALUES = st.one_of(
    NUMBERS,
    TEXTS,
    st.none(),
    st.just([]),
    st.just({}),
    NESTED,
    st.lists(NUMBERS, max_size=3),
    st.dictionaries(TEXTS, NUMBERS, max_size=3),
)


def written(value: Any) -> bytes:
    """Return a value as JSON, NaN and nested lists among it."""
    nested: list[Nested] = []

    def mark(other: Any) -> str:
        nested.append(other)
        return f"@nested{len(nested) - 1}@"

    text = json.dumps(value, default=mark)
    for number, each in enumerate(nested):
        text = text.replace(f'"@nested{number}@"', "[" * each.depth + "]" * each.depth)
    return text.encode()


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to everything inside a value."""
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in inside:
        yield (*here, key)
        yield from places(inner, (*here, key))


def at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


def _replace(draw: st.DrawFn, holder: Any, key: Any) -> None:
    old = holder[key]
    plain = isinstance(old, int | float) and draw(st.integers(0, 3))
    worded = isinstance(old, str) and draw(st.integers(0, 3))
    holder[key] = draw(NUMBERS if plain else TEXTS if worded else VALUES)


def _drop(draw: st.DrawFn, holder: Any, key: Any) -> None:
    del holder[key]


def _double(draw: st.DrawFn, holder: Any, key: Any) -> None:
    if isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        holder[draw(TEXTS)] = copy.deepcopy(holder[key])


def _exchange(draw: st.DrawFn, holder: Any, key: Any) -> None:
    other = draw(
        st.sampled_from(list(holder) if isinstance(holder, dict) else list(range(len(holder))))
    )
    holder[key], holder[other] = holder[other], holder[key]


def _empty(draw: st.DrawFn, holder: Any, key: Any) -> None:
    holder[key] = type(holder[key])()


HARMS: tuple[Callable[[st.DrawFn, Any, Any], None], ...] = (
    _replace,
    _replace,
    _replace,
    _drop,
    _double,
    _exchange,
    _empty,
)


@st.composite
def harmed(draw: st.DrawFn, whole: Any) -> Any:
    """Return a record's JSON with one to three harms done to it, wherever they fall."""
    value = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        known = list(places(value))
        if not known:
            break
        place = draw(st.sampled_from(known))
        draw(st.sampled_from(HARMS))(draw, at(value, place[:-1]), place[-1])
    return value


def file_name(stem: str, content: bytes) -> str:
    """Return what the store would call these bytes, so that only they can be at fault."""
    return f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}.json"


def stem_for(value: Any, before: str) -> str:
    """Return the stem that a changed record's file would have: after its own id, where that can be
    a name.
    """
    said = value.get("run_id") if isinstance(value, dict) else None
    able = (
        isinstance(said, str)
        and said
        and "/" not in said
        and "\0" not in said
        and len(said.encode()) < 200
    )
    return said if able and not said.startswith(".") else before


# Files that are none


def fifo(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's address is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def folder(path: Path) -> None:
    path.mkdir()


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def looping(path: Path) -> None:
    path.symlink_to(path.name)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def random(path: Path) -> None:
    path.symlink_to("/dev/urandom")


def terminal(path: Path) -> None:
    path.symlink_to("/dev/ptmx")


def to_a_fifo(path: Path) -> None:
    os.mkfifo(path.parent / f".{path.name}.pipe")
    path.symlink_to(f".{path.name}.pipe")


def to_a_folder(path: Path) -> None:
    path.symlink_to("..")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def kernel(path: Path) -> None:
    path.symlink_to("/proc/self/mem")


def empty(path: Path) -> None:
    path.write_bytes(b"")


ODDITIES = (
    fifo,
    listening,
    folder,
    dangling,
    looping,
    endless,
    random,
    terminal,
    to_a_fifo,
    to_a_folder,
    huge,
    kernel,
    empty,
)


def removed(path: Path) -> None:
    """Remove what an oddity has made."""
    (path.parent / f".{path.name}.pipe").unlink(missing_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
