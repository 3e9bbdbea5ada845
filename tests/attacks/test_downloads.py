"""Datasets' files and servers of anyone's making: refused in a sentence, in bounded memory and
time.
"""

import gzip
import io
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError, safe
from harness.spec.data import containers, download, mnist
from harness.spec.data.arrays import PARTS
from tests.attacks.hostile import ROOT, TEXTS, cases, within
from tests.attacks.parsing import assert_plain

TINY = {
    name: np.arange(20 * 28 * 28 if name.startswith("x") else 20, dtype=np.int64).astype(np.uint8)
    for name in PARTS
}
TINY = {
    name: array.reshape(20, 28, 28) if name.startswith("x") else array
    for name, array in TINY.items()
}
SHAPES = {name: array.shape for name, array in TINY.items()}
MOST_BYTES = 500 << 20  # of a process that refuses a bomb; Python and NumPy take some 60 MiB of it
CHILD = """
import resource, sys
from pathlib import Path
from harness.errors import DataError
from harness.spec.data import mnist as datasets
try:
    datasets.read_folder(Path(sys.argv[1]))
except DataError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def npz(parts, write=np.savez):
    file = io.BytesIO()
    write(file, **parts)
    return file.getvalue()


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


# Files changed at random

NPZ, ZIPPED = npz(TINY), npz(TINY, np.savez_compressed)
IDX, GZ = idx(TINY["x_test"]), gzip.compress(idx(TINY["x_test"]))
HARMS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.floats(0, 1), st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("cut"), st.floats(0, 1), st.binary(max_size=0)),
        st.tuples(st.just("put"), st.floats(0, 1), st.binary(min_size=1, max_size=64)),
        st.tuples(st.just("end"), st.floats(0, 0.01), st.binary(min_size=1, max_size=8)),
    ),
    min_size=1,
    max_size=4,
)


def harmed(content, harms):
    for kind, share, piece in harms:
        place = int(share * len(content))
        if kind == "set":
            content = content[:place] + piece + content[place + len(piece) :]
        elif kind == "cut":
            content = content[:place]
        elif kind == "put":
            content = content[:place] + piece + content[place:]
        else:  # near the end, where a zip lists its files
            place = max(0, len(content) - 1 - int(share * 1e4))
            content = content[:place] + piece + content[place + len(piece) :]
    return content


@pytest.mark.parametrize("content", [NPZ, ZIPPED], ids=["plain", "compressed"])
def test_an_npz_changed_at_random_is_the_arrays_or_an_error_in_a_sentence(
    content, tmp_path, monkeypatch
):
    monkeypatch.setattr(mnist, "SHAPES", SHAPES)
    file = tmp_path / "mnist.npz"

    @cases(200)
    @given(HARMS)
    def attack(harms):
        file.write_bytes(harmed(content, harms))
        with within(10), pytest.raises(DataError) as refused:
            mnist.read_npz(file)  # tiny arrays are not MNIST's, whatever comes of the harm
        assert len(str(refused.value)) < 1000

    attack()


@pytest.mark.parametrize(("content", "suffix"), [(IDX, ""), (GZ, ".gz")], ids=["plain", "gzipped"])
def test_an_idx_file_changed_at_random_is_the_array_or_an_error_in_a_sentence(
    content, suffix, tmp_path, monkeypatch
):
    monkeypatch.setattr(mnist, "SHAPES", SHAPES)
    file = tmp_path / f"t10k-images-idx3-ubyte{suffix}"

    @cases(200)
    @given(HARMS)
    def attack(harms):
        file.write_bytes(harmed(content, harms))
        with within(10), pytest.raises(DataError) as refused:
            mnist.read_idx(file, "x_test")
        assert len(str(refused.value)) < 1000

    attack()


def test_the_whole_files_hold_the_arrays(tmp_path):
    for content in (NPZ, ZIPPED):
        (tmp_path / "mnist.npz").write_bytes(content)
        for name, array in containers.read_npz(tmp_path / "mnist.npz", SHAPES).items():
            np.testing.assert_array_equal(array, TINY[name], strict=True)


# Bombs


def header(shape, descr="|u1", length=None):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) if length is None else length) + text


def bomb(file, heads, n_bytes, method=zipfile.ZIP_DEFLATED):
    """Write an .npz whose arrays begin with their heads, and whose first one then holds so many
    zeros.
    """
    with zipfile.ZipFile(file, "w", method) as archive:
        for name in PARTS:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(heads[name])
                for _ in range((n_bytes >> 20) if name == PARTS[0] else 0):
                    member.write(bytes(1 << 20))


def gz_bomb(file, head, n_bytes):
    packed = zlib.compressobj(9, wbits=31)
    with file.open("wb") as opened:
        opened.write(packed.compress(head))
        for _ in range(n_bytes >> 20):
            opened.write(packed.compress(bytes(1 << 20)))
        opened.write(packed.flush())


def write_gz_bombs(folder, shape):
    for part, name in mnist.IDX.items():
        head = struct.pack(f">HBB{len(shape(part))}I", 0, 8, len(shape(part)), *shape(part))
        gz_bomb(folder / f"{name}.gz", head, (1 << 30) if part == PARTS[0] else 0)


HONEST = {name: header(shape) for name, shape in mnist.SHAPES.items()}
WIDE = dict.fromkeys(PARTS, header((1 << 30,)))
NPZ_LIST = b"PK\x01\x02" + bytes(42)
BOMBS = {
    "an array of a gigabyte": lambda folder: bomb(folder / "mnist.npz", WIDE, 1 << 30),
    "a gigabyte behind an honest header": lambda folder: bomb(
        folder / "mnist.npz", HONEST, 1 << 30
    ),
    "bzip2": lambda folder: bomb(folder / "mnist.npz", HONEST, 1 << 27, zipfile.ZIP_BZIP2),
    "lzma": lambda folder: bomb(folder / "mnist.npz", HONEST, 1 << 27, zipfile.ZIP_LZMA),
    "a type of a gigabyte": lambda folder: bomb(
        folder / "mnist.npz", dict.fromkeys(PARTS, header((1,), f"|V{1 << 30}")), 1 << 20
    ),
    "a list of a million files": lambda folder: (folder / "mnist.npz").write_bytes(
        NPZ_LIST * 1_000_000
        + struct.pack(
            "<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFE, 0xFFFE, len(NPZ_LIST) * 1_000_000, 0, 0
        )
    ),
    "a gzipped gigabyte": lambda folder: write_gz_bombs(folder, lambda part: (1 << 30,)),
    "a gzipped gigabyte behind an honest header": lambda folder: write_gz_bombs(
        folder, mnist.SHAPES.__getitem__
    ),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_in_little_memory(make, tmp_path):
    make(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said, peak = done.stdout.splitlines()
    assert ": expected " in said
    assert int(peak) < MOST_BYTES


# Servers

HEAD = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def server(*answers, drops=(), pause_s=0.0):
    """Serve answers as they are, one a connection, the last of them again and again; then drops
    without an end.
    """
    stopped, listener = threading.Event(), socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def speak(connection, answer):
        with connection:
            try:
                connection.settimeout(5)
                connection.recv(65536)
                connection.sendall(answer)
                while drops and not stopped.wait(pause_s):
                    for drop in drops:
                        connection.sendall(drop)
            except OSError:
                return

    def serve():
        n_served = 0
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(
                target=speak,
                args=(connection, answers[min(n_served, len(answers) - 1)]),
                daemon=True,
            ).start()
            n_served += 1

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mnist.npz"
    finally:
        stopped.set()
        thread.join()
        listener.close()


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def refusal(url, limit_s):
    """Return how the download fails within its limit; it leaves nothing behind."""
    with tempfile.TemporaryDirectory() as name:
        began = time.monotonic()
        with within(10), pytest.raises(DataError) as refused:
            download.fetch(url, Path(name) / "mnist.npz", limit_s=limit_s)
        assert time.monotonic() - began < limit_s + 2
        assert list(Path(name).iterdir()) == []
    assert len(str(refused.value)) < 1000
    assert_plain(safe.for_terminal(str(refused.value)), "\n")
    return str(refused.value)


ENDLESS = {
    "a dripping status line": (b"", (b"H",), 0.01),
    "a dripping header": (HEAD, (b"X",), 0.01),
    "headers without an end": (HEAD, (b"X: y\r\n",), 0.01),
    "continue without an end": (b"", (b"HTTP/1.1 100 Continue\r\n\r\n",), 0.0),
    "a dripping body": (HEAD + b"Content-Length: 100000\r\n\r\n", (b"x",), 0.01),
    "a dripping chunk's size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", (b"0",), 0.01),
    "dripping trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", (b"X: y\r\n",), 0.0),
    "silence": (b"", (), 0.0),
}


@pytest.mark.parametrize(("head", "drops", "pause_s"), ENDLESS.values(), ids=ENDLESS.keys())
def test_an_answer_without_an_end_is_given_up_at_the_limit(head, drops, pause_s, monkeypatch):
    monkeypatch.setattr(download, "N_TRIES", 1)
    with server(head, drops=drops or (b"",), pause_s=pause_s or (0.5 if not drops else 0.0)) as url:
        assert "no complete file after 1 try: " in refusal(url, 1.0)


@pytest.mark.parametrize(
    "head", [HEAD + b"\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n"], ids=["plain", "chunked"]
)
def test_zeros_without_an_end_are_given_up_at_the_limit_of_size(head):
    zeros = bytes(1 << 20) if b"chunked" not in head else b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    with server(head, drops=(zeros,)) as url:
        assert refusal(url, 60.0).endswith("after 1 try: expected at most 64 MiB; received more")


def test_a_stated_length_beyond_the_limit_is_refused_before_the_body():
    with server(HEAD + b"Content-Length: 67108865\r\n\r\n", drops=(b"x",), pause_s=0.01) as url:
        assert refusal(url, 5.0).endswith("after 1 try: expected at most 64 MiB; received more")


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "gopher://a.example"]
)
def test_a_redirection_leads_to_no_other_scheme(target):
    with server(
        f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
    ) as url:
        assert "no complete file after 1 try: " in refusal(url, 2.0)


WORDS = st.one_of(
    TEXTS.map(lambda text: text.encode()),
    st.binary(max_size=20),
    st.sampled_from(
        (
            *(
                b"HTTP/1.1 ",
                b"HTTP/1.0 ",
                b"HTTP/9.9 ",
                b"200 OK",
                b"404 ",
                b"503 ",
                b"100 Continue",
                b"999 ",
                b"-1 ",
                b"\r\n",
                b"\r\n\r\n",
            ),
            *(
                b"Content-Length: ",
                b"-1",
                b"9" * 5000,
                b"1e3",
                b"0x10",
                b"Transfer-Encoding: chunked\r\n\r\n",
                b"ffffffffffffffff\r\n",
            ),
            *(
                b"Location: ",
                b"/",
                b"http://[::1",
                b"//",
                b"Connection: keep-alive\r\n",
                b"X" * 70_000,
                b": ",
                b"Content-Encoding: gzip\r\n",
            ),
        )
    ),
)


def test_any_answer_is_a_file_or_an_error_in_a_sentence(monkeypatch):
    monkeypatch.setattr(download, "N_TRIES", 1)

    @cases(200)
    @given(st.lists(WORDS, min_size=1, max_size=10).map(b"".join), st.booleans())
    def attack(content, begun):
        head = HEAD + b"Content-Length: 5\r\n" if begun else b"HTTP/1.1 503 "
        with server(head + content) as url:
            try:
                refusal(url, 0.5)
            except pytest.fail.Exception:
                assert begun, "a whole file was served"

    attack()
