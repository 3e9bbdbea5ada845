"""Lines changed at random: each counts or is named, all others count, and nothing else happens."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import sessions, store
from tests.attacks.hostile import REFERENCE, cases, harmed, within, written
from tests.attacks.parsing import assert_plain
from tests.unit.records import record

N_WHOLE = 60  # lines of the session: its plan, and the first of its parts


@pytest.fixture(scope="module")
def lines():
    """The first lines of a session, and a run's."""
    bench = sessions.load_all(REFERENCE).sessions[0]
    parts = [bench.session, *bench.starts, *bench.blocks, *bench.ends, *bench.sittings]
    whole = [store.line_of(part) for part in parts[:N_WHOLE]]
    return bench.session.run_id, whole, store.line_of(record())


def resealed(line, content):
    """A line of another content, with the digest that it should have."""
    kind, version = (json.loads(line)[key] for key in ("kind", "format"))
    head = b'{"kind":"%s","format":%d,"content":%s' % (kind.encode(), version, content)
    return head + b',"digest":"' + hashlib.sha256(head).hexdigest().encode() + b'"}\n'


@st.composite
def harms(draw, line):
    """What takes a line's place: cut, another byte in it, doubled, or another content."""
    how = draw(st.sampled_from(("cut", "byte", "twice", "content", "content")))
    if how == "content":
        return resealed(line, written(draw(harmed(json.loads(line)["content"]))))
    place = draw(st.integers(1, len(line) - 2))
    if how == "cut":
        return line[:place] + b"\n"
    if how == "byte":
        return line[:place] + bytes([line[place] ^ draw(st.integers(1, 255))]) + line[place + 1 :]
    return line * 2


def test_a_changed_line_of_a_session_counts_or_is_named_and_all_others_count(lines, tmp_path):
    run_id, whole, _ = lines
    store.ready(tmp_path, "bench")

    @cases(200)
    @given(st.data())
    def attack(data):
        place = data.draw(st.integers(1, len(whole) - 1))
        changed = data.draw(harms(whole[place]))
        content = b"".join([*whole[:place], changed, *whole[place + 1 :]])
        sessions.file_of(tmp_path, run_id).write_bytes(content)
        with within(10):
            bench, left_out = sessions.load(tmp_path, run_id)
        parts = bench.starts, bench.blocks, bench.ends, bench.sittings
        assert 1 + sum(map(len, parts)) + len(left_out) == content.count(b"\n")
        for entry in left_out:
            assert entry.reason.startswith("line ")

    attack()


def test_a_changed_line_of_a_run_is_shown_or_named(lines, tmp_path):
    store.ready(tmp_path)
    store.add(tmp_path, record(run_id="sound"))

    @cases(200)
    @given(harms(lines[2]))
    def attack(changed):
        (tmp_path / "runs" / f"{record().run_id}.jsonl").write_bytes(changed)
        with within(10):
            loaded = store.load_all(tmp_path)
        assert len(loaded.records) + len(loaded.rejected) == 1 + changed.count(b"\n")
        assert "sound" in {each.run_id for each in loaded.records}
        for entry in loaded.rejected:
            assert_plain(entry.reason)

    attack()
