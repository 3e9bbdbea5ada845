"""The content of a backend's environment, as one digest: equal digests, equal code.

A version number does not say which code ran: an installed Keras can be edited, and an editable
install changes with every save. The digest is over contents alone, so that the same wheels
installed twice have the same one, wherever and whenever.

Every file that the environment's Python could import is looked at for each run, and read only
where its size or one of its times has changed. The digests of files are kept in the user's cache
folder, in one file for each environment.

Left out: bytecode, what pip writes down about an installation, C and C++ headers, and pip itself.
Of a folder outside of the environment (an editable install, a source tree that a .pth names) only
Python sources and shared libraries count: a project's results and notes are no code.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from filelock import FileLock

from harness.spec.data.mnist import cache_folder
from harness.spec.files import write

FORMAT = 1
CODE = (".py", ".so", ".pyd", ".dylib", ".dll")
HEADERS = (".h", ".hh", ".hpp", ".inc", ".cuh", ".cmake")
NO_CONTENT = (".pyc", ".pyi", ".egg-link", ".virtualenv", *HEADERS)
OF_AN_INSTALLATION = (
    "RECORD",
    "INSTALLER",
    "REQUESTED",
    "WHEEL",
    "direct_url.json",
    "uv_cache.json",
)
PATIENCE_S = 20.0  # for a Python that says from where it imports
YOUNG_NS = 2_000_000_000  # a file as young as this can change again without another time
# Run by the environment's Python. MAPPING: the packages' folders, in an editable install's finder.
FOLDERS = """
import os, sys
library = os.path.dirname(os.__file__)
standard = (library, os.path.join(library, "lib-dynload"))
own = [name for name in sys.path if os.path.isdir(name) and name not in standard]
finders = [sys.modules.get(getattr(finder, "__module__", "")) for finder in sys.meta_path]
mapped = [name for finder in finders for name in dict(getattr(finder, "MAPPING", {})).values()]
print(repr((sys.prefix, own, mapped)))
"""


class Stamp(NamedTuple):
    """What tells without reading that a file has not changed."""

    n_bytes: int
    modified_ns: int
    changed_ns: int  # of the inode: a copy with its old time of modification has a new one


class File(NamedTuple):
    """A file that can be imported, or read by what is."""

    name: str  # from its folder on: no path of this machine
    path: str
    stamp: Stamp


def content_digest(python: Path, variables: Mapping[str, str]) -> str | None:
    """Return the digest of all that an environment can import besides the standard library.

    Args:
        python: the environment's.
        variables: those that a worker gets.

    Returns:
        A SHA-256; None where that Python does not say from where it imports.
    """
    folders = _folders(python, variables)
    if folders is None:
        return None
    files = [file for folder in folders for file in folder]
    place = hashlib.sha256(os.fsencode(python.absolute())).hexdigest()[:16]
    try:
        room = cache_folder() / "environments"
        room.mkdir(parents=True, exist_ok=True)
        with FileLock(room / f".{place}.lock"):
            return _digest(files, room / f"{place}.json", room / f"{place}.whole.json")
    except OSError:  # no folder to keep anything in: all is read each time
        return _whole(files, _digests(files, {}))


def _digest(files: list[File], table: Path, whole: Path) -> str:
    """Return the digest of files, and keep it; a file that is known by its stamp is not read again.

    Args:
        files: in the order in which they are found by an import.
        table: the digest of each file, by its path.
        whole: the digest of all files, with the key under which it holds: most often that is all.
    """
    key = hashlib.sha256(repr([FORMAT, *files]).encode(errors="surrogateescape")).hexdigest()
    kept = _kept(whole)
    if kept.get("key") == key and isinstance(kept.get("digest"), str):
        return str(kept["digest"])
    before, now_ns = _kept(table), time.time_ns()
    known = before.get("files") if before.get("format") == FORMAT else None
    digests = _digests(files, known if isinstance(known, dict) else {})
    digest = _whole(files, digests)
    settled = [file for file in files if now_ns - max(file.stamp[1:]) > YOUNG_NS]
    old = {file.path: [*file.stamp, digests[file.path]] for file in settled}
    with suppress(OSError):
        write(table, json.dumps({"format": FORMAT, "files": old}).encode())
        if len(old) == len(digests):
            write(whole, json.dumps({"key": key, "digest": digest}).encode())
    return digest


def _digests(files: list[File], known: Mapping[str, object]) -> dict[str, str]:
    """Return the digest of each file's content by its path; of a known stamp it is not read."""
    found: dict[str, str] = {}
    unread: list[str] = []
    for file in files:
        match known.get(file.path):
            case [*stamp, str(digest)] if tuple(stamp) == file.stamp:
                found[file.path] = digest
            case _:
                unread.append(file.path)
    if not unread:
        return found
    with ThreadPoolExecutor() as pool:
        return found | dict(zip(unread, pool.map(_read, unread), strict=True))


def _whole(files: list[File], digests: Mapping[str, str]) -> str:
    text = "".join(f"{file.name}\0{digests[file.path]}\n" for file in files)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _read(path: str) -> str:
    """Return the digest of a file's content.

    Of a .pth file only what it runs counts: the folders that it names are looked at themselves.
    """
    try:
        with open(path, "rb") as file:
            if not path.endswith(".pth"):
                return hashlib.file_digest(file, "sha256").hexdigest()
            run = (b"import ", b"import\t")
            lines = [line for line in file.read().splitlines() if line.startswith(run)]
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def _kept(file: Path) -> dict[str, object]:
    """Return what a file of the cache holds; nothing where it is missing or torn."""
    try:
        kept = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _folders(python: Path, variables: Mapping[str, str]) -> list[list[File]] | None:
    """Return the files of each folder from which an environment imports, in the order of a search.

    None where its Python does not say.
    """
    command = [str(python), "-I", "-B", "-c", FOLDERS]
    try:
        asked = subprocess.run(
            command,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            check=True,
        )
        prefix, own, mapped = ast.literal_eval(asked.stdout.decode(errors="surrogateescape"))
    except (OSError, ValueError, SyntaxError, TypeError, subprocess.SubprocessError):
        return None
    inside = Path(os.path.realpath(prefix))
    folders = [Path(os.path.realpath(name)) for name in (*own, *mapped)]
    for source in _editable(folders):
        if not any(folder.is_relative_to(source) for folder in folders):
            folders.append(source)
    kinds = {folder: folder.is_relative_to(inside) for folder in folders}
    return [sorted(_files(folder, all_kinds=data_too)) for folder, data_too in kinds.items()]


def _editable(folders: list[Path]) -> list[Path]:
    """Return the source trees of editable installs, as PEP 610 has them written down."""
    found = []
    notes = "*.dist-info/direct_url.json"
    for file in sorted(file for folder in folders for file in folder.glob(notes)):
        note = _kept(file)
        info = note.get("dir_info")
        url = urlsplit(str(note.get("url")))
        if isinstance(info, dict) and info.get("editable") and url.scheme == "file":
            found.append(Path(os.path.realpath(url2pathname(url.path))))
    return found


def _files(folder: Path, *, all_kinds: bool) -> Iterator[File]:
    """Yield the files of a folder that count.

    Args:
        folder: or a module, which the finder of an editable install can name.
        all_kinds: whether data counts as well; of a source tree only code does.
    """
    if folder.is_file():
        yield _file(folder.name, folder)
        return
    waiting, linked = [str(folder)], {str(folder)}
    while waiting:
        for entry in _entries(waiting.pop()):
            if entry.is_dir():
                real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                if real not in linked and _may_hold_code(entry, all_kinds=all_kinds):
                    linked |= {real} if entry.is_symlink() else set()
                    waiting.append(entry.path)
            elif entry.is_file() and _counts(entry.name, all_kinds=all_kinds):
                yield _file(entry.path[len(str(folder)) + 1 :], entry)


def _file(name: str, entry: Path | os.DirEntry[str]) -> File:
    status = entry.stat()
    stamp = Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return File(name, os.fspath(entry), stamp)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Return what lies in a folder; nothing where it cannot be read, nor imported from."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _may_hold_code(entry: os.DirEntry[str], *, all_kinds: bool) -> bool:
    """Say whether an import reaches into a folder: not into pip, nor another environment."""
    if all_kinds:
        return entry.name != "__pycache__" and entry.name.partition("-")[0] != "pip"
    hidden = entry.name.startswith((".", "__pycache__"))
    return not hidden and not Path(entry.path, "pyvenv.cfg").exists()


def _counts(name: str, *, all_kinds: bool) -> bool:
    """Say whether a file's content is part of what an environment is."""
    if not all_kinds:
        return name.endswith(CODE)
    of_pip = name in OF_AN_INSTALLATION or name.startswith("__editable__")
    return not of_pip and not name.endswith(NO_CONTENT)
