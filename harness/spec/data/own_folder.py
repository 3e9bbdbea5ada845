"""A user's own data on disk: an .npy for each array, and a manifest that says where each belongs.

NumPy only: workers import this. Whoever reads a folder believes nothing of it: no pickle, no link,
no file that the folder itself names, no shape or length that does not fit.
"""

from __future__ import annotations

import json
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError, shown
from harness.errors.safe import short
from harness.spec.data.own import (
    MOST_DEPTH,
    MOST_LEAVES,
    NAMES,
    PARTS,
    VALIDATION,
    OwnData,
    Tree,
    digest_parts,
    form_of,
    is_key,
    map_leaves,
    name_leaves,
    name_parts,
)

FORMAT = 1
MANIFEST = "data.json"
SET_CACHE = "Set HARNESS_CACHE_DIR to another folder"
MOST_BYTES = 4 << 20  # of a manifest
MOST_REMARKS = 100
DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
)


def write(folder: Path, data: OwnData) -> Path:
    """Write data into a folder of its own that is named by its digest, whole or not at all.

    Args:
        folder: that holds the new one; it is there.
        data: its arrays are of DTYPES.

    Raises:
        DataError: it cannot be written.
    """
    parts = {name: map_leaves(_plain, data.parts[name]) for name in PARTS if name in data.parts}
    arrays, sha256 = name_parts(parts), digest_parts(parts)
    manifest = {
        "format": FORMAT,
        "sha256": sha256,
        "parts": {name: form_of(tree) for name, tree in parts.items()},
        "arrays": [
            {"name": name, "shape": array.shape, "dtype": str(array.dtype)}
            for name, array in arrays.items()
        ],
        "n_samples": data.n_samples,
        "batch_size": data.batch_size,
        "batch_size_from": data.batch_size_from,
        "source": data.source,
        "remarks": data.remarks,
    }
    try:
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
        try:
            for number, array in enumerate(arrays.values()):
                np.save(partial / f"{number}.npy", array, allow_pickle=False)
            (partial / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
            shutil.rmtree(folder / sha256, ignore_errors=True)  # equal bytes, of another source
            partial.replace(folder / sha256)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        why = f"cannot be written ({error.strerror or f'is the disk full? {error}'})"
        raise DataError(f"{folder}: {why}. {SET_CACHE}") from None
    return folder / sha256


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in C order and in the byte order of most machines."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def read(folder: Path, sha256: str | None = None) -> OwnData:
    """Return the data in a folder that `write` made, its arrays memory-mapped and read-only.

    Args:
        folder: is believed in nothing.
        sha256: of the data that are expected: every byte is read. None: bytes may be any.

    Raises:
        DataError: it is not such a folder, or holds other data.
    """
    try:
        manifest = json.loads(_regular(folder / MANIFEST, MOST_BYTES).read_bytes())
        data = _decode(folder, manifest)
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder}: not the data that were made: {short(error, 200)}") from None
    if sha256 is not None and (received := digest_parts(data.parts)) != sha256:
        raise DataError(f"{folder}: expected data of SHA-256 {sha256}; received {received}")
    return data


def _decode(folder: Path, manifest: dict[str, Any]) -> OwnData:
    _expect("format", manifest["format"] == FORMAT, manifest["format"])
    parts = _decode_parts(folder, manifest["parts"], manifest["arrays"])
    size, remarks = manifest["batch_size"], manifest["remarks"]
    _expect("batch_size", size is None or (type(size) is int and 0 < size < 2**53), size)
    _expect("remarks", isinstance(remarks, list) and len(remarks) <= MOST_REMARKS, type(remarks))
    data = OwnData(
        parts=parts,
        batch_size=size,
        batch_size_from=short(manifest["batch_size_from"]),
        source=short(manifest["source"]),
        remarks=tuple(short(text) for text in remarks),
        sha256=short(manifest["sha256"]),
    )
    _expect("n_samples", data.n_samples == manifest["n_samples"], manifest["n_samples"])
    return data


def _decode_parts(folder: Path, coded: dict[str, Any], said: list[Any]) -> dict[str, Tree]:
    """Return the parts, of the form that the manifest has, from the files that it counts."""
    _expect("arrays", isinstance(said, list) and 0 < len(said) <= MOST_LEAVES, type(said))
    _expect("parts", list(coded) == [name for name in PARTS if name in coded], list(coded))
    left = iter([_open(folder / f"{number}.npy", each) for number, each in enumerate(said)])
    parts = {name: _decode_tree(tree, left) for name, tree in coded.items()}
    _expect("parts", next(left, None) is None, "more arrays")
    places = [each["name"] for each in said]
    _expect("names", places == list(name_parts(parts)), places)
    _check_lengths(parts)
    return parts


def _expect(what: str, holds: bool, received: object) -> None:
    if not holds:
        raise ValueError(f"{what}: received {shown(received)}")


def _decode_tree(coded: Any, left: Iterator[NDArray[Any]], depth: int = 0) -> Tree:
    """Return a tree from its form as JSON has it; each 1 takes the next array."""
    _expect("parts", depth <= MOST_DEPTH, "deeper than that")
    if coded is None:
        return None
    if coded == 1:
        array = next(left, None)
        _expect("parts", array is not None, "more places than arrays")
        return array
    ((kind, inner),) = coded.items()
    _expect("parts", kind in ("dict", "tuple", "list") and bool(inner), kind)
    if kind == "dict":
        keys = [key for key, _ in inner]
        _expect("keys", keys == sorted({key for key in keys if is_key(key)}), keys)
        return {key: _decode_tree(part, left, depth + 1) for key, part in inner}
    trees = [_decode_tree(part, left, depth + 1) for part in inner]
    return tuple(trees) if kind == "tuple" else trees


def _check_lengths(parts: Mapping[str, Tree]) -> None:
    """Raise ValueError unless there is an x, and each kind of data has one length."""
    for prefix in ("", VALIDATION):
        names = [f"{prefix}{name}" for name in NAMES if f"{prefix}{name}" in parts]
        _expect("parts", names == [f"{prefix}{name}" for name in NAMES[: len(names)]], names)
        leaves = [name_leaves(name, parts[name]) for name in names]
        _expect("parts", all(leaves) and (bool(leaves) or bool(prefix)), names)
        lengths = {len(array) for each in leaves for array in each.values()}
        _expect("lengths", len(lengths) <= 1, sorted(lengths))


def _open(file: Path, said: Mapping[str, Any]) -> NDArray[Any]:
    """Return the array in a file, mapped, if it is the one that the manifest says it is."""
    array = np.load(_regular(file), mmap_mode="r", allow_pickle=False)
    _expect(file.name, isinstance(array, np.memmap), type(array))
    _expect(file.name, str(array.dtype) in DTYPES and str(array.dtype) == said["dtype"], said)
    _expect(file.name, array.ndim > 0 and list(array.shape) == said["shape"], said)
    whole = array.offset + array.nbytes == file.stat().st_size and array.flags.c_contiguous
    _expect(file.name, whole, "another number of bytes, or another order")
    return np.asarray(array)


def _regular(file: Path, most_bytes: int | None = None) -> Path:
    """Return the path of a regular file, which is no link and no larger than that."""
    found = file.lstat()
    _expect(file.name, stat.S_ISREG(found.st_mode), "no regular file")
    _expect(file.name, most_bytes is None or found.st_size <= most_bytes, found.st_size)
    return file
