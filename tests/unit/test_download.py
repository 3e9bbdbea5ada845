"""A download is whole and within its time, or not there at all. Each test asks a real server on
this machine.
"""

import http.server
import io
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from harness.errors import DataError
from harness.spec.data import download, mnist
from harness.spec.data.arrays import PARTS, dataset_digest, load_dataset, sha256

BODY = np.random.default_rng(0).bytes(200_000)
Handler = http.server.BaseHTTPRequestHandler
Answer = Callable[[Handler], None]


class Server(http.server.ThreadingHTTPServer):
    """Gives one answer after another, and the last of them from then on."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), AnsweringHandler)
        self.url = f"http://127.0.0.1:{self.server_port}/mnist.npz"
        self.answers: list[Answer] = []
        self.n_requests = 0
        self.stopped = threading.Event()

    def handle_error(self, request, client_address):
        """Say nothing: a client that hangs up is what some tests are about."""


class AnsweringHandler(Handler):
    server: Server

    def do_GET(self):  # noqa: N802 - so the base class calls it
        self.server.n_requests += 1
        self.server.answers[min(self.server.n_requests, len(self.server.answers)) - 1](self)

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.002})
        thread.start()
        try:
            yield running
        finally:
            running.stopped.set()
            running.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _machine(tmp_path, monkeypatch):
    """Keep this machine's proxies, folders and settings out."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    monkeypatch.delenv("HARNESS_MNIST_URL", raising=False)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses between tries, in seconds, which are not slept."""
    slept: list[float] = []
    monkeypatch.setattr(
        download, "time", SimpleNamespace(monotonic=time.monotonic, sleep=slept.append)
    )
    return slept


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def body(content, stated=None, *, sized=True):
    """Answer 200 with that content; state another length, or none."""

    def answer(handler):
        handler.send_response(200)
        if sized:
            handler.send_header("Content-Length", str(len(content) if stated is None else stated))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def status(code):
    return lambda handler: handler.send_error(code)


def raw(content):
    """Answer these bytes, whatever they are, and hang up."""
    return lambda handler: handler.wfile.write(content) and None


def silence(handler):
    handler.server.stopped.wait(2)


def dripping(head, drop):
    """Answer the head at once, and then a drop every hundredth of a second, for six tenths of a
    second.
    """

    def answer(handler):
        handler.wfile.write(head)
        for _ in range(60):
            handler.wfile.write(drop)
            if handler.server.stopped.wait(0.01):
                return

    return answer


def refusal(url, folder, **options):
    """Return how the download fails; it leaves nothing behind."""
    with pytest.raises(DataError) as caught:
        download.fetch(url, folder / "mnist.npz", **options)
    assert list(folder.iterdir()) == []
    return str(caught.value)


def test_a_whole_file_is_written_as_served(server, folder):
    server.answers = [body(BODY)]
    download.fetch(server.url, folder / "mnist.npz")
    assert (folder / "mnist.npz").read_bytes() == BODY


def test_a_whole_file_is_asked_for_once(server, folder):
    server.answers = [body(BODY)]
    download.fetch(server.url, folder / "mnist.npz")
    assert server.n_requests == 1


def test_progress_rises_to_the_length_stated(server, folder):
    server.answers = [body(BODY)]
    seen: list[tuple[int, int | None]] = []
    download.fetch(server.url, folder / "mnist.npz", lambda done, whole: seen.append((done, whole)))
    received = [done for done, _ in seen]
    assert received == sorted(set(received))
    assert len(received) >= 200_000 // download.CHUNK_BYTES
    assert received[-1] == len(BODY)
    assert {whole for _, whole in seen} == {len(BODY)}


def test_progress_has_no_whole_where_the_server_states_no_length(server, folder):
    server.answers = [body(BODY, sized=False)]
    seen: list[tuple[int, int | None]] = []
    download.fetch(server.url, folder / "mnist.npz", lambda done, whole: seen.append((done, whole)))
    assert seen[-1] == (len(BODY), None)


def test_an_interrupted_body_is_tried_three_times_then_an_error(server, folder):
    server.answers = [body(BODY[:150_000], stated=200_000)]
    assert (
        refusal(server.url, folder)
        == f"{server.url}: no complete file after 3 tries: interrupted after 150000 of 200000 bytes"
    )
    assert server.n_requests == 3


def test_an_interrupted_body_is_mended_by_the_next_try(server, folder):
    server.answers = [body(BODY[:150_000], stated=200_000), body(BODY)]
    download.fetch(server.url, folder / "mnist.npz")
    assert (folder / "mnist.npz").read_bytes() == BODY


def test_a_chunked_body_cut_short_is_tried_again(server, folder):
    server.answers = [
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\ncut"),
        body(BODY),
    ]
    download.fetch(server.url, folder / "mnist.npz")
    assert (folder / "mnist.npz").read_bytes() == BODY
    assert server.n_requests == 2


def test_a_server_that_hangs_up_is_tried_again(server, folder):
    server.answers = [raw(b""), body(BODY)]
    download.fetch(server.url, folder / "mnist.npz")
    assert server.n_requests == 2


def test_a_server_error_is_tried_until_it_passes(server, folder, pauses):
    server.answers = [status(503), status(503), body(BODY)]
    download.fetch(server.url, folder / "mnist.npz")
    assert (folder / "mnist.npz").read_bytes() == BODY
    assert pauses == [0.5, 1.0]


def test_a_server_error_that_stays_is_said(server, folder):
    server.answers = [status(503)]
    assert refusal(server.url, folder) == (
        f"{server.url}: no complete file after 3 tries: the server answered 503 Service Unavailable"
    )


def test_a_refusal_is_not_tried_again(server, folder):
    server.answers = [status(404), body(BODY)]
    assert (
        refusal(server.url, folder)
        == f"{server.url}: no complete file after 1 try: the server answered 404 Not Found"
    )
    assert server.n_requests == 1


def test_a_refusal_leaves_no_connection_open(server, folder):
    server.answers = [status(404)]
    with pytest.raises(DataError) as caught:
        download.fetch(server.url, folder / "mnist.npz")
    # Looked up while the error is alive: whatever closes the connection only once the error is gone
    # comes too late.
    connections = psutil.Process().net_connections("tcp")
    assert not [
        each for each in connections if each.raddr and each.raddr.port == server.server_port
    ], caught.value


def test_a_silent_server_is_tried_three_times(server, folder, monkeypatch):
    monkeypatch.setattr(download, "SILENCE_S", 0.05)
    server.answers = [silence]
    assert refusal(server.url, folder) == f"{server.url}: no complete file after 3 tries: timed out"


def test_a_server_that_falls_silent_in_the_middle_is_tried_again(server, folder, monkeypatch):
    def stalling(handler):
        body(BODY[:150_000], stated=200_000)(handler)
        silence(handler)

    monkeypatch.setattr(download, "SILENCE_S", 0.05)
    server.answers = [stalling, body(BODY)]
    download.fetch(server.url, folder / "mnist.npz")
    assert (folder / "mnist.npz").read_bytes() == BODY


def test_a_length_that_is_no_number_is_an_error_once(server, folder):
    server.answers = [raw(b"HTTP/1.0 200 OK\r\nContent-Length: many\r\n\r\nbody")]
    assert refusal(server.url, folder).startswith(f"{server.url}: no complete file after 1 try: ")


def test_a_dripping_server_is_stopped_by_the_limit_on_the_whole(server, folder):
    server.answers = [dripping(b"HTTP/1.0 200 OK\r\nContent-Length: 200000\r\n\r\n", b"x")]
    start = time.monotonic()
    message = refusal(server.url, folder, limit_s=0.1)
    assert time.monotonic() - start < 0.5
    assert message == (
        f"{server.url}: no complete file after 1 try: the time limit for the whole download passed"
    )


def test_a_dripping_header_is_stopped_by_the_limit_on_the_whole(server, folder):
    server.answers = [dripping(b"HTTP/1.0 200 OK\r\n", b"X")]
    start = time.monotonic()
    message = refusal(server.url, folder, limit_s=0.1)
    assert time.monotonic() - start < 0.5
    assert message == (
        f"{server.url}: no complete file after 1 try: the time limit for the whole download passed"
    )


@pytest.mark.parametrize("stated", [BODY, None], ids=["stated", "sent"])
def test_a_file_beyond_the_limit_of_size_is_refused_once(server, folder, monkeypatch, stated):
    monkeypatch.setattr(download, "LIMIT_BYTES", 1 << 17)
    server.answers = [body(BODY, sized=stated is not None)]
    assert refusal(server.url, folder).startswith(
        f"{server.url}: no complete file after 1 try: expected at most "
    )
    assert server.n_requests == 1


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_a_redirection_leads_to_no_other_scheme(server, folder, target):
    server.answers = [raw(f"HTTP/1.0 302 Found\r\nLocation: {target}\r\n\r\n".encode())]
    assert f"{server.url}: no complete file after 1 try: " in refusal(server.url, folder)


def test_what_a_server_says_is_shown_short_and_without_commands(server, folder):
    server.answers = [raw(b"HTTP/1.0 404 \x1b[31m" + b"x" * 10_000 + b"\r\n\r\n")]
    message = refusal(server.url, folder)
    assert "\x1b" not in message
    assert len(message) < 500


def test_no_try_begins_after_the_limit(server, folder):
    server.answers = [status(503)]
    assert "after 1 try: " in refusal(server.url, folder, limit_s=0.0)


def test_a_name_that_does_not_resolve_is_an_error_once(folder, pauses):
    url = "http://no-such-host.invalid/mnist.npz"
    assert refusal(url, folder).startswith(f"{url}: no complete file after 1 try: ")
    assert pauses == []


def test_a_name_that_cannot_be_one_is_an_error_once(folder, pauses):
    assert refusal("http://a..b/mnist.npz", folder).startswith(
        "http://a..b/mnist.npz: no complete file after 1 try: "
    )
    assert pauses == []


def test_a_port_that_nobody_serves_is_tried_three_times(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, and it refuses
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/mnist.npz"
        assert (
            refusal(url, folder)
            == f"{url}: no complete file after 3 tries: [Errno 111] Connection refused"
        )


def test_a_folder_that_cannot_be_written_is_not_tried_again(server, tmp_path, pauses):
    server.answers = [body(BODY)]
    with pytest.raises(DataError):
        download.fetch(server.url, tmp_path / "missing" / "mnist.npz")
    assert pauses == []


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://127.0.0.1/mnist.npz", "mnist.npz", ""]
)
def test_an_address_that_is_not_http_is_refused(folder, url):
    assert (
        refusal(url, folder) == f"{url}: expected an address that begins with https:// or http://"
    )


# Through datasets.prepare


def npz(parts):
    file = io.BytesIO()
    np.savez(file, **parts)
    return file.getvalue()


@pytest.fixture
def tiny(monkeypatch):
    """A tiny set that is taken for MNIST here."""
    parts = {
        name: np.full((3, 28, 28) if name.startswith("x") else 3, index, np.uint8)
        for index, name in enumerate(PARTS)
    }
    monkeypatch.setattr(mnist, "SHAPES", {name: array.shape for name, array in parts.items()})
    monkeypatch.setattr(mnist, "MNIST", {name: sha256(array) for name, array in parts.items()})
    monkeypatch.setattr(mnist, "DIGESTS", mnist.DIGESTS | {"mnist": dataset_digest(parts)})
    return parts


def assert_nothing_kept(tmp_path):
    assert not (tmp_path / "cache").exists()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_is_downloaded_is_prepared_and_nothing_else_stays(server, tiny, tmp_path, monkeypatch):
    server.answers = [body(npz(tiny))]
    monkeypatch.setenv("HARNESS_MNIST_URL", server.url)
    prepared = mnist.prepare("auto")
    assert (prepared.name, prepared.origin) == ("mnist", f"downloaded from {server.url}")
    np.testing.assert_array_equal(load_dataset(prepared.folder)["x_test"], tiny["x_test"])
    assert list((tmp_path / "temporary").iterdir()) == []


WRONG = {
    "other content": (
        lambda parts: npz(parts | {"y_test": parts["y_test"] + np.uint8(1)}),
        "y_test: expected MNIST, SHA-256 ",
    ),
    "another shape": (
        lambda parts: npz(parts | {"y_test": parts["y_test"][:-1]}),
        "y_test: expected uint8 (3,); received uint8 (2,)",
    ),
    "cut at its source": (
        lambda parts: npz(parts)[:-50],
        "expected a whole .npz of plain arrays; ",
    ),
    "a web page": (
        lambda parts: b"<!doctype html><title>Sign in</title>",
        "expected a whole .npz of plain arrays; ",
    ),
}


@pytest.mark.parametrize(("change", "detail"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_download_is_refused_by_address_and_not_kept(
    server, tiny, tmp_path, monkeypatch, change, detail
):
    server.answers = [body(change(tiny))]
    monkeypatch.setenv("HARNESS_MNIST_URL", server.url)
    with pytest.raises(DataError) as caught:
        mnist.prepare("mnist")
    assert str(caught.value).startswith(f"dataset mnist: {server.url}: {detail}")
    assert_nothing_kept(tmp_path)


def test_a_wrong_download_under_auto_gives_digits_and_says_why(server, tiny, tmp_path, monkeypatch):
    server.answers = [body(npz(tiny | {"y_test": tiny["y_test"] + np.uint8(1)}))]
    monkeypatch.setenv("HARNESS_MNIST_URL", server.url)
    monkeypatch.setattr(mnist.digits, "make", lambda: tiny)
    monkeypatch.setattr(mnist, "DIGESTS", mnist.DIGESTS | {"digits": dataset_digest(tiny)})
    prepared = mnist.prepare("auto")
    assert prepared.name == "digits"
    assert f"{server.url}: y_test: expected MNIST, SHA-256 " in prepared.origin
    assert [entry.name for entry in (tmp_path / "cache" / "datasets").iterdir()] == [
        prepared.folder.name
    ]


def test_a_download_that_fails_leaves_nothing_in_cache_and_temporary_folder(
    server, tmp_path, monkeypatch
):
    server.answers = [body(BODY[:150_000], stated=200_000)]
    monkeypatch.setenv("HARNESS_MNIST_URL", server.url)
    with pytest.raises(DataError, match="interrupted after 150000 of 200000 bytes"):
        mnist.prepare("mnist")
    assert_nothing_kept(tmp_path)
