"""The dataset is found in the order said, and what is not MNIST to the bit is refused by name.

The 11 MB of the whole MNIST are not in the repository: a tiny set of its form takes its place here,
digests and all.
"""

import gzip
import io
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from harness.errors import DataError
from harness.spec.data import digits, mnist
from harness.spec.data.arrays import PARTS, dataset_digest, load_dataset, sha256

Arrays = dict[str, NDArray[np.uint8]]
NOWHERE = "http://no-such-host.invalid/mnist.npz"  # RFC 6761: such a name never resolves


def arrays(seed):
    random = np.random.default_rng(seed)
    return {
        "x_train": random.integers(0, 256, (20, 28, 28), np.uint8),
        "y_train": random.integers(0, 10, 20, np.uint8),
        "x_test": random.integers(0, 256, (10, 28, 28), np.uint8),
        "y_test": random.integers(0, 10, 10, np.uint8),
    }


TINY, OTHER, DIGITS = arrays(1), arrays(2), arrays(3)


@pytest.fixture(autouse=True)
def _machine(tmp_path, monkeypatch):
    """Let the tiny set be MNIST, and keep this machine's own folders, settings and network out."""
    monkeypatch.setattr(mnist, "SHAPES", {name: array.shape for name, array in TINY.items()})
    monkeypatch.setattr(mnist, "MNIST", {name: sha256(array) for name, array in TINY.items()})
    monkeypatch.setattr(
        mnist, "DIGESTS", {"mnist": dataset_digest(TINY), "digits": dataset_digest(DIGITS)}
    )
    monkeypatch.setattr(digits, "make", lambda: DIGITS)
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("HARNESS_MNIST_URL", NOWHERE)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The folder that HARNESS_DATA_DIR names, still empty."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("HARNESS_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def keras_file(tmp_path):
    """Where Keras keeps mnist.npz; the file is not there yet."""
    folder = tmp_path / "keras" / "datasets"
    folder.mkdir(parents=True)
    return folder / "mnist.npz"


def npz(parts):
    file = io.BytesIO()
    np.savez(file, **parts)
    return file.getvalue()


def idx(array, kind=8):
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder, parts=TINY, suffix=""):
    for name, array in parts.items():
        content = idx(array)
        (folder / f"{mnist.IDX[name]}{suffix}").write_bytes(
            gzip.compress(content) if suffix else content
        )


def changed(**parts):
    return {**TINY, **parts}


def refusal(name="mnist"):
    with pytest.raises(DataError) as caught:
        mnist.prepare(name)
    return str(caught.value)


def assert_same(parts, expected):
    assert list(parts) == list(PARTS)
    for name in PARTS:
        np.testing.assert_array_equal(parts[name], expected[name], strict=True)


# Reading what is right


def test_an_npz_is_read(own):
    (own / "mnist.npz").write_bytes(npz(TINY))
    assert_same(mnist.read_folder(own), TINY)


def test_a_compressed_npz_is_read(own):
    np.savez_compressed(own / "mnist.npz", **TINY)
    assert_same(mnist.read_folder(own), TINY)


def test_plain_idx_files_are_read(own):
    write_idx(own)
    assert_same(mnist.read_folder(own), TINY)


def test_gzipped_idx_files_are_read(own):
    write_idx(own, suffix=".gz")
    assert_same(mnist.read_folder(own), TINY)


def test_what_is_prepared_is_read_back_by_workers_bit_for_bit(own):
    (own / "mnist.npz").write_bytes(npz(TINY))
    assert_same(load_dataset(mnist.prepare("mnist").folder), TINY)


def test_what_is_prepared_tells_its_digest_and_sizes(own):
    (own / "mnist.npz").write_bytes(npz(TINY))
    prepared = mnist.prepare("mnist")
    assert (prepared.sha256, prepared.n_train, prepared.n_inputs) == (dataset_digest(TINY), 20, 784)


# The order of the search


def test_the_user_s_folder_goes_before_the_cache(own, monkeypatch):
    (own / "mnist.npz").write_bytes(npz(TINY))
    mnist.prepare("mnist")
    assert mnist.prepare("mnist").origin == f"HARNESS_DATA_DIR={own}"
    monkeypatch.delenv("HARNESS_DATA_DIR")
    assert mnist.prepare("mnist").origin == "prepared before"


def test_a_cache_goes_before_keras_s(keras_file):
    keras_file.write_bytes(npz(TINY))
    assert mnist.prepare("mnist").origin == f"Keras's cache, {keras_file}"
    assert mnist.prepare("mnist").origin == "prepared before"


def test_keras_s_cache_goes_before_the_network(keras_file):
    keras_file.write_bytes(npz(TINY))  # the network would fail
    assert_same(load_dataset(mnist.prepare("mnist").folder), TINY)


def test_the_user_s_folder_may_begin_with_a_tilde(own, monkeypatch):
    (own / "mnist.npz").write_bytes(npz(TINY))
    monkeypatch.setenv("HOME", str(own.parent))
    monkeypatch.setenv("HARNESS_DATA_DIR", "~/own")
    assert mnist.prepare("mnist").name == "mnist"


def test_keras_s_cache_is_in_the_home_folder_where_keras_home_is_not_set(keras_file, monkeypatch):
    home = keras_file.parents[2]
    keras_file.write_bytes(npz(TINY))
    (home / "keras").rename(home / ".keras")
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(home))
    assert (
        mnist.prepare("mnist").origin
        == f"Keras's cache, {home / '.keras' / 'datasets' / 'mnist.npz'}"
    )


def test_mnist_is_taken_under_auto_where_it_is(keras_file):
    keras_file.write_bytes(npz(TINY))
    assert mnist.prepare("auto").name == "mnist"


def test_digits_named_outright_look_for_no_mnist(own):
    (own / "mnist.npz").write_bytes(b"a wrong file, never opened")
    prepared = mnist.prepare("digits")
    assert prepared.origin == "made from scikit-learn's handwritten digits; named outright"
    assert_same(load_dataset(prepared.folder), DIGITS)


def test_digits_are_made_once(monkeypatch):
    mnist.prepare("digits")
    monkeypatch.delattr(digits, "make")
    assert mnist.prepare("digits").sha256 == dataset_digest(DIGITS)


# Falling back


def test_auto_takes_digits_where_mnist_is_nowhere_and_says_why():
    prepared = mnist.prepare("auto")
    assert prepared.name == "digits"
    assert prepared.origin.startswith(
        "made from scikit-learn's handwritten digits; MNIST is not on this machine and could not "
        "be downloaded "
        f"({NOWHERE}: no complete file after 1 try: "
    )


def test_mnist_named_outright_and_nowhere_is_an_error_that_says_what_to_do():
    message = refusal("mnist")
    assert message.startswith(f"dataset mnist: {NOWHERE}: no complete file after 1 try: ")
    assert message.endswith(
        ". Put mnist.npz into a folder and set HARNESS_DATA_DIR to it, or take --dataset digits"
    )


def test_auto_never_passes_a_wrong_file_in_the_user_s_folder(own):
    (own / "mnist.npz").write_bytes(npz(OTHER))
    assert refusal("auto").startswith(f"{own / 'mnist.npz'}: x_train: expected MNIST, ")


def test_auto_never_passes_an_empty_folder_of_the_user_s(own):
    assert refusal("auto").startswith(
        f"HARNESS_DATA_DIR: {own}: expected mnist.npz, or four IDX files"
    )


def test_auto_never_passes_a_wrong_file_in_keras_s_cache(keras_file):
    keras_file.write_bytes(npz(OTHER))
    assert refusal("auto").startswith(f"{keras_file}: x_train: expected MNIST, ")


def test_a_wrong_file_of_the_user_s_is_not_hidden_by_a_whole_cache(own, keras_file):
    keras_file.write_bytes(npz(TINY))
    (own / "mnist.npz").write_bytes(npz(TINY))
    mnist.prepare("mnist")
    (own / "mnist.npz").write_bytes(npz(OTHER))
    assert str(own / "mnist.npz") in refusal("mnist")


# Bad files


def torn(content):
    return content[: len(content) // 2]


def damaged(content):
    """Change one byte of the first array, so that the archive's own checksum no longer holds."""
    place = content.index(TINY["x_train"].tobytes()) + 100
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def header_damaged(content):
    """Take the closing bracket from the first array's header."""
    return content.replace(b"(20, 28, 28), }", b"(20, 28, 28),  ", 1)


def headed(shape):
    """An .npz whose arrays say that they have that shape, and hold nothing."""
    file = io.BytesIO()
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name in PARTS:
            archive.writestr(
                f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
            )
    return file.getvalue()


def single(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in PARTS:
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


UNREADABLE = {
    "empty": lambda: b"",
    "a web page": lambda: b"<!doctype html><title>Sign in</title>",
    "cut short": lambda: torn(npz(TINY)),
    "cut by a byte": lambda: npz(TINY)[:-1],
    "its first bytes lost": lambda: npz(TINY)[10:],
    "a byte damaged": lambda: damaged(npz(TINY)),
    "a header damaged": lambda: header_damaged(npz(TINY)),
    "a single .npy": lambda: single(TINY["x_train"]),
    "a zip of texts": lambda: zipped(b"no array"),
    "a bare pickle": lambda: pickle.dumps(TINY),
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_npz_that_cannot_be_read_is_refused_by_name(own, content):
    (own / "mnist.npz").write_bytes(content())
    assert refusal().startswith(
        f"{own / 'mnist.npz'}: expected a whole .npz of plain arrays; received "
    )


def test_a_shape_beyond_memory_is_refused_by_the_header_alone(own):
    (own / "mnist.npz").write_bytes(headed("(1000000000000000,)"))
    assert refusal().endswith(
        "x_train: expected uint8 (20, 28, 28); received uint8 (1000000000000000,)"
    )


@pytest.mark.parametrize("name", ["empty", "a web page", "cut short", "its first bytes lost"])
def test_a_file_that_holds_no_python_object_is_not_said_to_hold_one(own, name):
    (own / "mnist.npz").write_bytes(UNREADABLE[name]())
    message = refusal().removeprefix(str(own))
    assert "Python object" not in message
    assert "pickle" not in message


def test_an_npz_that_cannot_be_read_is_not_left_open(own):
    file = own / "mnist.npz"
    file.write_bytes(torn(npz(TINY)))
    with pytest.raises(DataError) as caught:
        mnist.prepare("mnist")
    # Looked up while the error is alive: whatever closes the file only once the error is gone comes
    # too late.
    assert str(file) not in {entry.path for entry in psutil.Process().open_files()}, caught.value


MISFITS = {
    "a wrong shape": (
        changed(x_train=TINY["x_train"].reshape(20, 784)),
        "x_train: expected uint8 (20, 28, 28); received uint8 (20, 784)",
    ),
    "a wrong dtype": (
        changed(y_test=TINY["y_test"].astype(np.int64)),
        "y_test: expected uint8 (10,); received int64 (10,)",
    ),
    "a dtype of the same size": (
        changed(x_test=TINY["x_test"].view(np.int8)),
        "x_test: expected uint8 (10, 28, 28); received int8 (10, 28, 28)",
    ),
    "too few samples": (
        changed(y_train=TINY["y_train"][:-1]),
        "y_train: expected uint8 (20,); received uint8 (19,)",
    ),
    "other content": (
        changed(y_train=OTHER["y_train"]),
        f"y_train: expected MNIST, SHA-256 {sha256(TINY['y_train'])[:12]}…; received other "
        f"content, {sha256(OTHER['y_train'])[:12]}…",
    ),
    "arrays in another order": (
        changed(x_train=TINY["x_train"][::-1]),
        f"x_train: expected MNIST, SHA-256 {sha256(TINY['x_train'])[:12]}…; received other "
        f"content, {sha256(TINY['x_train'][::-1])[:12]}…",
    ),
    "an array missing": (
        {name: TINY[name] for name in PARTS if name != "y_test"},
        "expected the arrays x_train, y_train, x_test, y_test; missing y_test",
    ),
    "arrays without names": (
        {f"arr_{index}": TINY[name] for index, name in enumerate(PARTS)},
        "expected the arrays x_train, y_train, x_test, y_test; missing x_train, y_train, x_test, "
        "y_test",
    ),
}


@pytest.mark.parametrize(("parts", "sentence"), MISFITS.values(), ids=MISFITS.keys())
def test_an_npz_that_is_not_mnist_is_refused_by_file_and_array(own, parts, sentence):
    (own / "mnist.npz").write_bytes(npz(parts))
    assert refusal() == f"{own / 'mnist.npz'}: {sentence}"


class Planted:
    """Makes a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_an_array_of_objects_is_refused_and_never_unpickled(own, tmp_path):
    mark = tmp_path / "unpickled"
    planted = np.array([Planted(mark)], dtype=object)
    (own / "mnist.npz").write_bytes(npz(changed(x_train=planted)))
    expected = (
        "expected a whole .npz of plain arrays; received Python objects, which are never unpickled"
    )
    assert refusal() == f"{own / 'mnist.npz'}: {expected}"
    assert not mark.exists()
    np.load(own / "mnist.npz", allow_pickle=True)["x_train"]
    assert mark.exists(), (
        "the planted array does nothing even where it is unpickled: mend this test"
    )


PEAK = """
import resource, sys
from pathlib import Path
from harness.errors import DataError
from harness.spec.data import mnist as datasets
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    datasets.read_folder(Path(sys.argv[1]))
except DataError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("form", ["npz", "gz"])
def test_a_bomb_is_refused_by_its_header_in_little_memory(tmp_path, form):
    zeros = np.zeros(96 << 20, np.uint8)
    if form == "npz":
        np.savez_compressed(
            tmp_path / "mnist.npz", x_train=zeros, **{name: TINY[name] for name in PARTS[1:]}
        )
    else:
        write_idx(tmp_path, suffix=".gz")
        with gzip.open(tmp_path / f"{mnist.IDX['x_train']}.gz", "wb", compresslevel=1) as file:
            file.write(struct.pack(">HBBI", 0, 8, 1, len(zeros)))
            file.write(zeros)
    command = [sys.executable, "-c", PEAK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, more_kib = done.stdout.splitlines()
    assert said.endswith("x_train: expected uint8 (60000, 28, 28); received uint8 (100663296,)")
    assert int(more_kib) < 32 << 10


def test_an_empty_folder_is_told_the_files_expected(own):
    assert refusal() == (
        f"HARNESS_DATA_DIR: {own}: expected mnist.npz, or four IDX files (plain or .gz); missing "
        "train-images-idx3-ubyte, "
        "train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte"
    )


def test_an_idx_file_missing_is_named(own):
    write_idx(own)
    (own / "t10k-labels-idx1-ubyte").unlink()
    assert refusal() == (
        f"HARNESS_DATA_DIR: {own}: expected mnist.npz, or four IDX files (plain or .gz); "
        "missing t10k-labels-idx1-ubyte"
    )


def test_a_home_that_is_nobody_s_is_an_error_for_the_user(monkeypatch):
    monkeypatch.setenv("HARNESS_DATA_DIR", "~no-such-user-here/mnist")
    assert "~no-such-user-here" in refusal()


BAD_IDX = {
    "empty": (b"", ""),
    "cut short": (idx(TINY["x_train"])[:-1], "expected 15680 bytes of data; received 15679 bytes"),
    "cut inside its shape": (idx(TINY["x_train"])[:6], ""),
    "too long": (idx(TINY["x_train"]) + b"\0", "expected 15680 bytes of data; received more"),
    "floats": (idx(TINY["x_train"], kind=0x0D), "its first bytes are 00000d03, not 000008.."),
    "a web page": (b"<!doctype html>", ""),
}


@pytest.mark.parametrize(("content", "detail"), BAD_IDX.values(), ids=BAD_IDX.keys())
def test_an_idx_file_that_is_none_is_refused_by_name(own, content, detail):
    write_idx(own)
    file = own / "train-images-idx3-ubyte"
    file.write_bytes(content)
    message = refusal()
    assert message.startswith(f"{file}: expected a whole IDX file of uint8; ")
    assert detail in message


BAD_GZIP = {
    "cut short": lambda: torn(gzip.compress(idx(TINY["x_train"]))),
    "not gzipped": lambda: idx(TINY["x_train"]),
    "damaged": lambda: gzip.compress(idx(TINY["x_train"]))[:-8] + bytes(8),
}


@pytest.mark.parametrize("content", BAD_GZIP.values(), ids=BAD_GZIP.keys())
def test_a_gzipped_idx_file_that_is_none_is_refused_by_name(own, content):
    write_idx(own, suffix=".gz")
    file = own / "train-images-idx3-ubyte.gz"
    file.write_bytes(content())
    assert refusal().startswith(f"{file}: expected a whole IDX file of uint8; ")


def test_an_idx_file_of_other_content_is_refused_by_name(own):
    write_idx(own)
    write_idx(own, {"y_test": OTHER["y_test"]})
    assert refusal().startswith(
        f"{own / 't10k-labels-idx1-ubyte'}: y_test: expected MNIST, SHA-256 "
    )


def test_an_idx_file_of_a_wrong_shape_is_refused_by_name(own):
    write_idx(own)
    write_idx(own, {"y_test": TINY["y_train"]})
    assert (
        refusal()
        == f"{own / 't10k-labels-idx1-ubyte'}: y_test: expected uint8 (10,); received uint8 (20,)"
    )


# The cache


@pytest.mark.parametrize("damage", ["missing", "cut short", "changed", "empty"])
def test_a_prepared_set_that_was_damaged_is_mended_from_its_source(keras_file, damage):
    keras_file.write_bytes(npz(TINY))
    file = mnist.prepare("mnist").folder / "x_test.npy"
    content = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(
            {
                "cut short": content[:-1],
                "changed": content[:-1] + bytes([content[-1] ^ 1]),
                "empty": b"",
            }[damage]
        )
    prepared = mnist.prepare("mnist")
    assert prepared.origin == f"Keras's cache, {keras_file}"
    assert_same(load_dataset(prepared.folder), TINY)


def test_a_set_that_is_kept_leaves_nothing_else_in_the_cache(own):
    (own / "mnist.npz").write_bytes(npz(TINY))
    folder = mnist.prepare("mnist").folder
    assert [entry.name for entry in folder.parent.iterdir()] == [folder.name]
    assert sorted(entry.name for entry in folder.iterdir()) == sorted(
        f"{name}.npy" for name in PARTS
    )


def test_a_refused_file_leaves_nothing_in_the_cache(own, tmp_path):
    (own / "mnist.npz").write_bytes(npz(OTHER))
    refusal()
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_is_named_with_what_to_set(own, tmp_path):
    (own / "mnist.npz").write_bytes(npz(TINY))
    (tmp_path / "cache").write_text("a file where the folder should be")
    folder = tmp_path / "cache" / "datasets" / f"mnist-{dataset_digest(TINY)[:16]}"
    assert refusal() == (
        f"{folder}: the dataset cannot be kept there (Not a directory). Set HARNESS_CACHE_DIR "
        "to another folder"
    )


def test_digits_that_came_out_otherwise_are_refused(monkeypatch):
    monkeypatch.setattr(digits, "make", lambda: OTHER)
    expected, received = (dataset_digest(each)[:12] for each in (DIGITS, OTHER))
    said = f"expected digest {expected}…; received {received}… (please report this)"
    assert refusal("digits") == f"dataset digits: {said}"


def test_the_digest_of_a_dataset_depends_on_which_array_is_which():
    exchanged = TINY | {"y_train": TINY["x_train"], "x_train": TINY["y_train"]}
    assert dataset_digest(exchanged) != dataset_digest(TINY)
