"""Hostile configurations: the real backends.toml with some of its values replaced, and files that
are no TOML at all.
"""

import time
import tomllib
from pathlib import Path

from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.spec import config

REAL = Path(__file__).resolve().parents[2] / "backends.toml"
TABLES = tomllib.loads(REAL.read_text(encoding="utf-8"))
HOSTILE_TEXT = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "..",
            "../../etc",
            "/dev/full",
            "\0",
            "a=b",
            "\x1b[31mred",
            "\u202eabc",
            "\u009b2J",
            "a\nb",
            "$(reboot)",
        ]
    ),
    st.sampled_from(
        [
            "[bold]x[/bold]",
            "=1+1",
            "<b>",
            "%s%n",
            "é",
            "💥",
            "x" * 70,
            "x" * 300,
            "y" * 100_000,
            "-e ../..",
            "\ufeff",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)
HOSTILE_NUMBER = st.one_of(
    st.sampled_from(
        [0, -1, 1, 2**31, 2**32, 2**63, 2**64, 10**18, 10**400, -(10**400), True, False]
    ),
    st.sampled_from([float("nan"), float("inf"), float("-inf"), 5e-324, 1e308, -0.0, 0.5]),
    st.integers(),
    st.floats(),
)
LEAF = HOSTILE_TEXT | HOSTILE_NUMBER
HOSTILE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HOSTILE_TEXT, inner, max_size=4),
    max_leaves=8,
)
WIDE = st.sampled_from(
    [[1] * 5000, {f"k{number}": 1 for number in range(2000)}, [{}] * 2000, [[[[[[]]]]]]]
)


def places(value, place=()):
    """Every place inside tables and lists, outermost first."""
    yield place
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, each in inside:
        yield from places(each, (*place, key))


PLACES = [place for place in places(TABLES) if place]


def replaced(tables, place, new, key):
    """The tables with another value or key at a place; (None, None) removes it."""
    head, *rest = place
    copy = list(tables) if isinstance(tables, list) else dict(tables)
    if rest:
        copy[head] = replaced(copy[head], rest, new, key)
        return copy
    if isinstance(copy, dict) and key is not None:
        copy[key] = copy.pop(head)
    elif new is None:
        del copy[head]
    else:
        copy[head] = new
    return copy


@st.composite
def edited(draw):
    """The text of the real file with one to three places changed."""
    tables = TABLES
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(PLACES))
        new, key = draw(
            st.one_of(
                st.tuples(HOSTILE | WIDE, st.none()), st.tuples(st.none(), HOSTILE_TEXT | st.none())
            )
        )
        try:
            tables = replaced(tables, place, new, key)
        except (KeyError, IndexError, TypeError):
            continue  # the place went with an earlier change
    return "".join(f"{quoted(key)} = {written(value)}\n" for key, value in tables.items()).encode()


def quoted(text):
    """A TOML string: every character that might mean something as its number."""
    return (
        '"'
        + "".join(
            each if each.isascii() and each.isalnum() else f"\\U{ord(each):08x}" for each in text
        )
        + '"'
    )


def written(value):
    """A value as TOML writes it, on one line."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return hex(value) if value > 2**64 else str(value) if abs(value) < 10**300 else "-1"
        case float():
            return repr(value)
        case str():
            return quoted(value)
        case list():
            return f"[{', '.join(map(written, value))}]"
        case dict():
            pairs = ", ".join(f"{quoted(key)} = {written(each)}" for key, each in value.items())
            return f"{{ {pairs} }}"
    raise TypeError(value)


CRUDE = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda depth: b"a = " + b"[" * depth, st.integers(1, 100_000)),
    st.builds(lambda depth: b"a = " + b"[" * depth + b"]" * depth, st.integers(1, 5000)),
    st.builds(lambda depth: b"a = " + b"{b=" * depth, st.integers(1, 50_000)),
    st.builds(lambda depth: b"a." * depth + b"a = 1", st.integers(1, 100_000)),
    st.builds(lambda depth: b"[" + b"a." * depth + b"a]", st.integers(1, 100_000)),
    st.builds(lambda n: b"[protocol]\nepochs = " + b"9" * n, st.integers(1, 200_000)),
    st.builds(lambda n: b"[protocol]\nepochs = 0x" + b"f" * n, st.integers(1, 200_000)),
    st.builds(lambda n: b"[protocol]\n" + b"x = 1\n" * n, st.integers(1, 40_000)),
    st.builds(
        lambda n: b"\n".join(b"k%d = 1" % number for number in range(n)), st.integers(1, 20_000)
    ),
    st.builds(lambda n: b'"' + b"k" * n + b'" = 1', st.integers(1, 250_000)),
    st.builds(lambda n: b"#" * n, st.integers(250_000, 300_000)),
    st.sampled_from(
        [
            b"\xff\xfe",
            b"a = 1979-99-99",
            b"a = '",
            b'a = """',
            b"\0",
            b"a = 1\r",
            b"[[specs]]",
            b"specs = 1",
        ]
    ),
)
CONFIGURATIONS = edited() | CRUDE


def check(content, folder):
    """A configuration is read, or refused in short, printable sentences, within ten seconds."""
    file = folder / "backends.toml"
    file.write_bytes(content)
    began = time.process_time()  # unlike a clock's, the same on a busy machine
    said = []
    try:
        config.load(file)
    except ConfigError as error:
        said = str(error).split("\n")
    assert time.process_time() - began < 10
    assert len(said) <= 11
    assert all(0 < len(line) <= 300 and line.isprintable() for line in said)
