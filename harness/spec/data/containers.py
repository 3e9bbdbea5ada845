"""Arrays out of untrusted .npz and IDX files: first the shape, then no more bytes than it has.

A few megabytes can unpack to gigabytes. So a file is refused by its header before its data are
unpacked, and what is unpacked comes in pieces and is counted.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from harness.errors import DataError
from harness.errors.safe import short

PIECE_BYTES = 1 << 20
# What NumPy writes; others unpack without a bound.
PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
Shape = tuple[int, ...]


def read_npz(file: Path, shapes: Mapping[str, Shape]) -> dict[str, NDArray[np.uint8]]:
    """Return arrays of uint8 from an .npz; nothing is unpickled.

    Args:
        file: a regular file.
        shapes: of each array that is wanted, by name.

    Raises:
        DataError: an array is missing, or of another type or shape.
        Exception: almost any other, where the file is damaged.
    """
    with _Narrow(file) as content, zipfile.ZipFile(content) as archive:
        names = set(archive.namelist())
        missing = [name for name in shapes if f"{name}.npy" not in names]
        if missing:
            raise DataError(
                f"expected the arrays {', '.join(shapes)}; missing {', '.join(missing)}"
            )
        return {name: _member(archive, name, shape) for name, shape in shapes.items()}


def _member(archive: zipfile.ZipFile, name: str, shape: Shape) -> NDArray[np.uint8]:
    if archive.getinfo(f"{name}.npy").compress_type not in PLAIN:
        raise ValueError("compressed in a way that NumPy does not write")
    with archive.open(f"{name}.npy") as member:
        version = npy.read_magic(member)
        if version != (1, 0):  # later ones are for headers of more than 64 KiB
            raise ValueError(f"{name}.npy is of format {version}, not (1, 0)")
        found, fortran, dtype = npy.read_array_header_1_0(member)
        _fits(name, dtype, found, shape)
        values = np.frombuffer(_exactly(member.read, math.prod(shape)), np.uint8)
        return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)


def read_idx(file: Path, name: str, shape: Shape) -> NDArray[np.uint8]:
    """Return the array of uint8 of an IDX file, plain or gzipped.

    Source: the format's own description, http://yann.lecun.com/exdb/mnist: two zero bytes, the type
    (8 is uint8), the rank, each dimension as a big-endian uint32, the data.

    Args:
        file: a regular file; one whose name ends in .gz is unpacked.
        name: of the array, for the message.
        shape: the one that is wanted.

    Raises:
        DataError: it is of another shape.
        OSError, EOFError, ValueError, struct.error, zlib.error: it is damaged, or no such file.
    """
    with file.open("rb") as content:
        read = _Inflated(content).read if file.suffix == ".gz" else content.read
        head = _up_to(read, 4)
        zeros, kind, rank = struct.unpack(">HBB", head)
        if (zeros, kind) != (0, 8):
            raise ValueError(f"its first bytes are {head.hex()}, not 000008..")
        _fits(name, np.dtype(np.uint8), struct.unpack(f">{rank}I", _up_to(read, 4 * rank)), shape)
        return np.frombuffer(_exactly(read, math.prod(shape)), np.uint8).reshape(shape)


def _fits(name: str, dtype: np.dtype[np.generic], found: Shape, shape: Shape) -> None:
    """Raise DataError where an array is not as it must be, by what its header says."""
    if dtype.hasobject:
        raise ValueError("Object arrays are never unpickled")
    if dtype != np.uint8 or found != shape:
        raise DataError(f"{name}: expected uint8 {shape}; received {short(dtype)} {short(found)}")


def _up_to(read: Callable[[int], bytes], n_bytes: int) -> bytearray:
    """Return the next bytes, fewer where there are no more."""
    held = bytearray()
    while len(held) < n_bytes and (piece := read(min(PIECE_BYTES, n_bytes - len(held)))):
        held += piece
    return held


def _exactly(read: Callable[[int], bytes], n_bytes: int) -> bytearray:
    """Return all bytes that are left, where they are so many."""
    held = _up_to(read, n_bytes + 1)  # and to the end: there a zip's own checksum is looked at
    if len(held) != n_bytes:
        received = f"{len(held)} bytes" if len(held) < n_bytes else "more"
        raise ValueError(f"expected {n_bytes} bytes of data; received {received}")
    return held


class _Narrow(io.FileIO):
    """A file of which zipfile reads no long piece at once, as a list of a million files is."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > PIECE_BYTES:
            raise zipfile.BadZipFile("its list of files is too long")
        return super().read(size) or b""


class _Inflated:
    """The content of a gzipped file's first part, unpacked no further than it is read."""

    def __init__(self, content: BinaryIO) -> None:
        self._content, self._inflate = content, zlib.decompressobj(wbits=31)

    def read(self, n_bytes: int) -> bytes:
        """Return up to so many bytes, none at the end."""
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._content.read(PIECE_BYTES)
            if piece := self._inflate.decompress(packed, n_bytes):
                return piece
            if not packed:
                raise EOFError("it ends too early")
        return b""
