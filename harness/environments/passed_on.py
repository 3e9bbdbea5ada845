"""What a worker is given of its user's surroundings: proxies, certificates, downloads.

A proxy's address can hold a password. A worker needs it, and no record or log may hold it.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from harness.environments.plain_path import is_plain
from harness.errors import DataError
from harness.spec.data.mnist import cache_folder

LOWER = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
PROXIES = (*LOWER, *(name.upper() for name in LOWER))
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
CACHES = ("XDG_CACHE_HOME",)
BEFORE_A_HOST = re.compile(r"(?<=//)[^\s/\"'<>]+@")
HIDDEN = "***"


def network_variables(mine: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which a program reaches the network and keeps what it fetched.

    A path among them is made absolute: a worker has a working folder of its own.
    """
    kept = {name: mine[name] for name in (*PROXIES, *CACHES) if name in mine}
    named = {name: Path(mine[name]).absolute() for name in CERTIFICATES if mine.get(name)}
    return kept | {name: str(path) for name, path in named.items()}


def redact(said: Any, variables: Mapping[str, str]) -> Any:
    """Return what a worker said without the user and password of any address.

    Args:
        said: text, or lists and dictionaries of it, whose other values and keys stay as they are.
        variables: the worker's.
    """
    if isinstance(said, dict):
        return {key: redact(value, variables) for key, value in said.items()}
    if isinstance(said, list):
        return [redact(value, variables) for value in said]
    if not isinstance(said, str):
        return said
    for secret in _secrets(variables):
        said = said.replace(secret, HIDDEN)
    return BEFORE_A_HOST.sub(f"{HIDDEN}@", said)


def _secrets(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield user and password of each proxy: as written, as meant, and as they are sent."""
    for name in PROXIES:
        login, at, _ = variables.get(name, "").rpartition("@")
        login = login.rpartition("//")[2]
        if at and ":" in login:
            meant = unquote(login)
            yield from (login, meant, base64.b64encode(meant.encode()).decode())


def lend_downloads(home: Path) -> None:
    """Fill a KERAS_HOME with links to all that a worker, or the user's own Keras, has downloaded.

    Keras's configuration file lies beside these folders, and stays out: no record tells of it.
    """
    with suppress(OSError, RuntimeError):  # no home folder: nothing was downloaded
        mine = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
        for entry in (*_downloads(_shared()), *_downloads(mine.absolute())):
            link = home / entry.parent.name / entry.name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(entry)


def keep_downloads(home: Path) -> None:
    """Move what a worker has downloaded to where the next one finds it, whole or not at all.

    Args:
        home: its KERAS_HOME. After a kill a download may be half there: keep nothing of that.
    """
    for entry in _downloads(home):
        target = _shared() / entry.parent.name / entry.name
        if not entry.is_symlink() and not target.exists():
            with suppress(OSError):  # no room for it: the next worker downloads it again
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_name(f".partial-{uuid.uuid4().hex}")
                shutil.move(entry, partial)
                partial.rename(target)


def inductor_cache() -> dict[str, str]:
    """Return the variable that has PyTorch keep compiled graphs where the next worker finds them.

    By default they lie in TMPDIR, which a worker has for itself.
    """
    with suppress(DataError):  # no home folder: nothing is kept
        if is_plain(folder := cache_folder().absolute() / "inductor"):
            return {"TORCHINDUCTOR_CACHE_DIR": str(folder)}
    return {}


def _shared() -> Path:
    return cache_folder().absolute() / "keras"


def _downloads(home: Path) -> list[Path]:
    """Return what lies in the folders of a KERAS_HOME: datasets, models, and other subfolders."""
    folders = [folder for folder in home.glob("*") if folder.is_dir()] if home.is_dir() else []
    found = (entry for folder in folders for entry in folder.glob("*"))
    return [entry for entry in found if not entry.name.startswith(".")]
