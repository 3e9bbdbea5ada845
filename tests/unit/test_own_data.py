"""A user's data as files: what was written is what is read; what is anything else is refused."""

import json
import os
import resource

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from harness.errors import DataError
from harness.spec.data.own import OwnData, digest_parts, name_leaves, name_parts
from harness.spec.data.own_folder import DTYPES, MANIFEST, read, write

KEYS = st.text(
    st.characters(codec="utf-8", exclude_characters="[]"), min_size=1, max_size=5
).filter(str.isprintable)


@st.composite
def leaves(draw, n_samples):
    shape = (n_samples, *draw(st.lists(st.integers(1, 3), max_size=2)))
    array = draw(arrays_of.arrays(draw(st.sampled_from(DTYPES)), shape))
    return np.asfortranarray(array) if draw(st.booleans()) else array


def trees(n_samples):
    return st.recursive(
        leaves(n_samples),
        lambda inner: st.one_of(
            st.dictionaries(KEYS, inner, min_size=1, max_size=3),
            st.lists(inner, min_size=1, max_size=3),
            st.lists(inner, min_size=1, max_size=3).map(tuple),
        ),
        max_leaves=4,
    )


@st.composite
def all_parts(draw):
    parts = {}
    for prefix, least in (("", 1), ("validation_", 0)):
        n_samples, names = draw(st.integers(1, 4)), ("x", "y", "sample_weight")
        for name in names[: draw(st.integers(least, 3))]:
            parts[f"{prefix}{name}"] = draw(trees(n_samples))
    return parts


def alike(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        pairs = zip(one, other, strict=True)
        return type(one) is type(other) and all(alike(*pair) for pair in pairs)
    return (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )


@settings(max_examples=60, deadline=None)
@given(parts=all_parts())
def test_what_is_read_is_what_was_written_under_the_same_digest(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    written = write(folder, OwnData(parts=parts, batch_size=7, remarks=("a remark",)))
    found = read(written, written.name)
    assert found.sha256 == written.name == digest_parts(found.parts) == digest_parts(parts)
    assert found.parts.keys() == parts.keys()
    assert all(alike(found.parts[name], parts[name]) for name in parts)
    assert (found.batch_size, found.remarks) == (7, ("a remark",))
    assert list(folder.iterdir()) == [written], "nothing half-made stays"


@settings(max_examples=40, deadline=None)
@given(parts=all_parts(), chance=st.randoms(use_true_random=False))
def test_another_byte_of_an_array_is_another_digest(parts, chance, tmp_path_factory):
    written = write(tmp_path_factory.mktemp("own"), OwnData(parts=parts))
    file = written / f"{chance.randrange(len(name_parts(parts)))}.npy"
    n_bytes = np.load(file).nbytes
    content = bytearray(file.read_bytes())
    content[len(content) - chance.randint(1, n_bytes)] ^= 1 << chance.randrange(8)
    file.write_bytes(content)
    with pytest.raises(DataError, match="expected data of SHA-256"):
        read(written, written.name)


X = np.arange(6, dtype=np.float32).reshape(3, 2)
Y = np.arange(3)


def test_the_digest_knows_places_and_parts_and_not_a_list_from_a_tuple():
    assert digest_parts({"x": (X, Y)}) == digest_parts({"x": [X, Y]})
    assert digest_parts({"x": {"a": X, "b": Y}}) == digest_parts({"x": {"b": Y, "a": X}})
    assert digest_parts({"x": X.astype(">f4")}) != digest_parts({"x": X.astype("f8")})
    several = [
        {"x": (X, Y)},
        {"x": (Y, X)},
        {"x": X, "y": Y},
        {"x": {"0": X, "1": Y}},
        {"x": ((X,), Y)},
        {"x": X.T.copy()},
        {"x": X.astype(np.float64)},
        {"x": X, "validation_x": Y},
    ]
    assert len({digest_parts(parts) for parts in several}) == len(several)


def test_a_batch_has_the_form_of_the_data():
    data = OwnData(parts={"x": {"a": X, "b": [Y, X]}, "y": Y})
    x, y = data.take(np.array([2, 0]))
    assert (x["a"].tolist(), y.tolist()) == ([[4.0, 5.0], [0.0, 1.0]], [2, 0])
    assert [list(name_leaves("x", x)), data.n_inputs, data.n_samples, data.validation] == [
        ["x[a]", "x[b][0]", "x[b][1]"],
        2 + 1 + 2,
        3,
        None,
    ]


def changed(folder, change):
    """The folder, with its manifest changed."""
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def assigned(**values):
    return lambda folder: changed(folder, lambda manifest: manifest.update(values))


def saved(array, **options):
    return lambda folder: np.save(folder / "0.npy", array, **options)


def linked(folder):
    (folder / "0.npy").rename(folder / "away.npy")
    (folder / "0.npy").symlink_to(folder / "away.npy")


def piped(folder):
    (folder / "0.npy").unlink()
    os.mkfifo(folder / "0.npy")


NESTED = json.loads("[" * 500 + "1" + "]" * 500)
HOSTILE = {
    "no manifest": lambda folder: (folder / MANIFEST).unlink(),
    "a manifest that is a list": lambda folder: (folder / MANIFEST).write_text("[]"),
    "no JSON": lambda folder: (folder / MANIFEST).write_bytes(b"\xff{"),
    "deeper than Python counts": lambda folder: (folder / MANIFEST).write_text("[" * 100_000),
    "a manifest of gigabytes": lambda folder: os.truncate(folder / MANIFEST, 1 << 33),
    "another format": assigned(format=2),
    "a pickle": saved(np.array([{}], dtype=object), allow_pickle=True),
    "another shape": saved(X[:2]),
    "another dtype": saved(X.astype(np.float64)),
    "a dtype that is not one of numbers": saved(np.array([b"abcd", b"efgh"])),
    "columns before rows": saved(np.asfortranarray(X)),
    "a cut file": lambda folder: os.truncate(folder / "0.npy", 140),
    "a longer file": lambda folder: os.truncate(folder / "0.npy", 10_000),
    "a link": linked,
    "a FIFO": piped,
    "another length": lambda folder: np.save(folder / "1.npy", np.arange(4)),
    "a place that is not there": assigned(parts={"x": 1, "y": {"tuple": [1, 1]}}),
    "an array that has no place": assigned(parts={"x": 1}),
    "no x": assigned(parts={"y": {"tuple": [1, 1]}}),
    "weights without labels": assigned(parts={"x": 1, "sample_weight": 1}),
    "a part of another name": assigned(parts={"x": 1, "../y": 1}),
    "levels without end": assigned(parts={"x": NESTED}),
    "another place": assigned(parts={"x": 1, "y": {"dict": [["a", 1]]}}),
    "arrays that are no list": assigned(arrays={}),
    "a batch of no samples": assigned(batch_size=0),
    "another count": assigned(n_samples=10**9),
    "remarks that are no texts": assigned(remarks=[1, 2], source=None, parts=None),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_folder_that_is_not_what_was_written_is_one_sentence(change, tmp_path):
    folder = write(tmp_path, OwnData(parts={"x": X, "y": Y}))
    change(folder)
    with pytest.raises(DataError, match="not the data that were made: ") as caught:
        read(folder)
    assert "\n" not in str(caught.value)


def test_data_that_cannot_be_written_leave_nothing(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        with pytest.raises(DataError, match=r"cannot be written \(.*\)\. Set HARNESS_CACHE_DIR"):
            write(tmp_path, OwnData(parts={"x": np.zeros(1000)}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
