"""A file from the network: whole, of a bounded size and within its time limit, or not at all."""

from __future__ import annotations

import http.client
import io
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.errors.safe import short

CHUNK_BYTES = 1 << 16
LIMIT_BYTES = 64 << 20  # of a dataset's file: MNIST's has 11 MiB, 53 MiB where it is not compressed
N_TRIES = 3
SILENCE_S = 10.0  # no answer for so long counts as interrupted
WHOLE_S = 300.0  # all tries together

Progress = Callable[[int, int | None], None]
"""Told bytes received and, where the server says it, bytes in all."""


def fetch(
    url: str,
    target: Path,
    progress: Progress = lambda done, whole: None,
    *,
    limit_s: float = WHOLE_S,
) -> None:
    """Write what `url` serves to `target`; a failure leaves no file behind.

    An interruption, a server error (5xx) and a time-out are tried again, up to three times in all;
    a name that does not resolve, a refusal (4xx) and a file that is too large are not: they answer
    the same the next time. Libraries limit the silence between two reads,
    which a server that drips a byte a second passes: so every read is held to the whole limit.

    Args:
        url: begins with https:// or http://.
        target: in a folder that is there.
        progress: told how far it is.
        limit_s: seconds for all tries together.

    Raises:
        DataError: no complete file came; says how the last try ended.
    """
    if not url.startswith(("https://", "http://")):
        raise DataError(f"{short(url)}: expected an address that begins with https:// or http://")
    deadline = time.monotonic() + limit_s
    for attempt in range(1, N_TRIES + 1):
        try:
            _copy(url, target, progress, deadline)
            return
        except (OSError, http.client.HTTPException, ValueError) as error:
            target.unlink(missing_ok=True)
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            if attempt == N_TRIES or not _passing(error) or time.monotonic() >= deadline:
                tries = f"{attempt} {'try' if attempt == 1 else 'tries'}"
                raise DataError(
                    f"{short(url)}: no complete file after {tries}: {short(_said(error))}"
                ) from None
            time.sleep(0.5 * attempt)


def _copy(url: str, target: Path, progress: Progress, deadline: float) -> None:
    with target.open("wb") as file, _opener(deadline).open(url, timeout=SILENCE_S) as answer:
        stated = answer.headers.get("Content-Length")
        whole = int(stated) if stated else None
        done = 0
        _bounded(whole or 0)
        while chunk := answer.read1(CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            _bounded(done)
            progress(done, whole)
    if whole is not None and done < whole:
        raise ConnectionError(f"interrupted after {done} of {whole} bytes")


def _bounded(n_bytes: int) -> None:
    if not 0 <= n_bytes <= LIMIT_BYTES:
        raise ValueError(f"expected at most {LIMIT_BYTES >> 20} MiB; received more")


def _opener(deadline: float) -> urllib.request.OpenerDirector:
    """Return what opens http and https addresses only, each read held to the deadline.

    It goes by the system's proxies.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _Http(deadline),
        _Https(deadline),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._connection = partial(_connection, http.client.HTTPConnection, deadline)

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._connection = partial(_connection, http.client.HTTPSConnection, deadline)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, request)


def _connection(
    kind: type[http.client.HTTPConnection], deadline: float, host: str, **options: Any
) -> http.client.HTTPConnection:
    connection = kind(host, **options)
    connection.response_class = partial(_Answer, deadline)  # type: ignore[assignment]
    return connection


class _Answer(http.client.HTTPResponse):
    """A server's answer, header and body, that is read until the deadline."""

    def __init__(self, deadline: float, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Punctual(sock, deadline))


class _Punctual(io.RawIOBase):
    """A socket's bytes, until the deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._deadline - time.monotonic()
        if left_s <= SILENCE_S:
            said = "the time limit for the whole download passed"
            if left_s <= 0:
                raise TimeoutError(said)
            self._sock.settimeout(left_s)
            try:
                return self._raw.readinto(buffer)
            except TimeoutError:
                raise TimeoutError(said) from None
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _passing(error: Exception) -> bool:
    """Say whether another try may end otherwise."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(cause, TimeoutError | ConnectionError | http.client.HTTPException)


def _said(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    return str(getattr(error, "reason", "") or error) or type(error).__name__
