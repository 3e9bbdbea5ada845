"""A file from the network: whole within its time limit, or not at all."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from harness.errors import DataError

CHUNK_BYTES = 1 << 16
N_TRIES = 3
SILENCE_S = 10.0  # no answer for so long counts as interrupted
WHOLE_S = 300.0  # all tries together

Progress = Callable[[int, int | None], None]
"""Told bytes received and, where the server says it, bytes in all."""


def fetch(url: str, target: Path, progress: Progress = lambda done, whole: None, *, limit_s: float = WHOLE_S) -> None:
    """Write what `url` serves to `target`; a failure leaves no file behind.

    An interruption, a server error (5xx) and a time-out are tried again, up to three times in all; a name that does not
    resolve and a refusal (4xx) are not: they answer the same the next time. Libraries limit the silence between two
    reads; a server that drips a byte a second passes that, hence the limit on the whole, kept here between
    two pieces of the body (a header that drips is not met by it).

    Raises:
        DataError: no complete file came; says how the last try ended.
    """
    if not url.startswith(("https://", "http://")):
        raise DataError(f"{url}: expected an address that begins with https:// or http://")
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
                raise DataError(f"{url}: no complete file after {tries}: {_said(error)}") from None
            time.sleep(0.5 * attempt)


def _copy(url: str, target: Path, progress: Progress, deadline: float) -> None:
    with target.open("wb") as file, urllib.request.urlopen(url, timeout=SILENCE_S) as answer:  # noqa: S310 - checked above
        stated = answer.headers.get("Content-Length")
        whole = int(stated) if stated else None
        done = 0
        while chunk := answer.read1(CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            progress(done, whole)
            if time.monotonic() > deadline:
                raise TimeoutError("the time limit for the whole download passed")
    if whole is not None and done < whole:
        raise ConnectionError(f"interrupted after {done} of {whole} bytes")


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
