"""The dataset: found, downloaded or embedded, proved by digests, prepared once for all workers.

MNIST is looked for in this order: the folder that HARNESS_DATA_DIR names (mnist.npz, or the four
IDX files, plain or .gz), what was prepared before, Keras's own cache, the network. What is found
must be MNIST to the bit: a container's name or checksum proves nothing, the arrays' SHA-256 does.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from harness.errors import DataError
from harness.errors.safe import short
from harness.spec.data import containers, digits
from harness.spec.data.arrays import PARTS, dataset_digest, load_dataset, sha256
from harness.spec.data.download import LIMIT_BYTES, Progress, fetch
from harness.spec.files import scratch

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
N_CLASSES = 10
SHAPES = {
    "x_train": (60_000, 28, 28),
    "y_train": (60_000,),
    "x_test": (10_000, 28, 28),
    "y_test": (10_000,),
}
MNIST = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
DIGESTS = {  # of a whole dataset, as `dataset_digest` makes it
    "mnist": "c473ce9de4170e6fe7638543697b7512b19cc4b2c68279feabf4a085461033dd",
    "digits": "6950cb435ceac04ae3dae6ab4ad4bb229f697c2c22756c142dd93d5c530b3379",
}
IDX = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
Parts = Mapping[str, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A dataset on disk as four .npy files that workers memory-map."""

    name: str
    sha256: str
    folder: Path
    origin: str  # one clause for the user: where it came from, and why
    first: int | None = None  # training samples of a longer dataset; None: it is whole

    @property
    def n_train(self) -> int:
        """Number of training samples."""
        return self.first or SHAPES["x_train"][0]

    @property
    def n_inputs(self) -> int:
        """Features of one sample: 784."""
        return SHAPES["x_train"][1] * SHAPES["x_train"][2]


def cache_folder() -> Path:
    """Return where datasets and draws are kept: HARNESS_CACHE_DIR, or the user's cache folder.

    Raises:
        DataError: this user has no home folder, or there is no such user.
    """
    setting = os.environ.get("HARNESS_CACHE_DIR")
    folder = (
        _path("HARNESS_CACHE_DIR", setting) if setting else user_cache_path("keras-backend-harness")
    )
    # "~" where there is no home: it would be made in the working folder.
    if not setting and not folder.is_absolute():
        raise DataError(
            f"the cache: expected a home folder; received {folder}. "
            "Set HOME, or HARNESS_CACHE_DIR to a folder"
        )
    return folder


def prepare(name: str, progress: Progress = lambda done, whole: None) -> Prepared:
    """Return the dataset "mnist", "digits", or "auto" (MNIST where possible), ready for workers.

    "digits-3000" is its first 3,000 training samples, with all test samples.

    Raises:
        DataError: MNIST was named outright and is not to be had; or a file on this machine that
            should hold it holds something else, under "auto" too: it is somebody's, and may be
            meant.
    """
    name, dash, n_samples = name.partition("-")
    if dash:
        return _shorten(prepare(name, progress), int(n_samples))
    if name == "digits":
        return _digits("named outright")
    found = _present()
    if found:
        return found
    try:
        return _downloaded(progress)
    except DataError as error:
        if name == "auto":
            return _digits(f"MNIST is not on this machine and could not be downloaded ({error})")
        raise DataError(
            f"dataset mnist: {error}. Put mnist.npz into a folder and set HARNESS_DATA_DIR to it, "
            "or take --dataset digits"
        ) from None


def _shorten(whole: Prepared, n_samples: int) -> Prepared:
    """Return a dataset's first training samples as a dataset of their own."""
    parts: dict[str, NDArray[np.uint8]] = dict(load_dataset(whole.folder))
    parts |= {part: parts[part][:n_samples] for part in ("x_train", "y_train")}
    name, digest = f"{whole.name}-{n_samples}", dataset_digest(parts)
    return Prepared(name, digest, _keep(name, digest, parts), whole.origin, n_samples)


def _present() -> Prepared | None:
    """Return MNIST from this machine, None where it has none.

    The user's setting is first, so that a wrong file there is never hidden by a cache.
    """
    setting = os.environ.get("HARNESS_DATA_DIR")
    if setting:
        return _kept(
            "mnist", read_folder(_path("HARNESS_DATA_DIR", setting)), f"HARNESS_DATA_DIR={setting}"
        )
    if _whole("mnist"):
        return Prepared("mnist", DIGESTS["mnist"], _folder("mnist"), "prepared before")
    own = os.path.expanduser("~/.keras")  # noqa: PTH111 - Path's raises without a home
    keras_home = Path(os.environ.get("KERAS_HOME") or own)
    keras_file = keras_home / "datasets" / "mnist.npz"
    if keras_file.is_file():
        return _kept("mnist", read_npz(keras_file), f"Keras's cache, {keras_file}")
    return None


def _path(variable: str, setting: str) -> Path:
    try:
        return Path(setting).expanduser()
    except RuntimeError:
        raise DataError(
            f"{variable}: expected a folder; received {setting!r}, and there is no such user"
        ) from None


def _downloaded(progress: Progress) -> Prepared:
    url = os.environ.get("HARNESS_MNIST_URL") or URL
    try:
        with scratch() as folder:
            file = folder / "mnist.npz"
            fetch(url, file, progress)
            return _kept("mnist", read_npz(file, shown=url), f"downloaded from {url}")
    except OSError as error:
        raise DataError(
            f"{url}: cannot be kept while it is downloaded ({error.strerror}). "
            "Set TMPDIR to another folder"
        ) from None


def _digits(reason: str) -> Prepared:
    origin = f"made from scikit-learn's handwritten digits; {reason}"
    if _whole("digits"):
        return Prepared("digits", DIGESTS["digits"], _folder("digits"), origin)
    return _kept("digits", digits.make(), origin)


def read_folder(folder: Path) -> Parts:
    """Return MNIST's arrays from a folder's mnist.npz, or from its four IDX files."""
    if (folder / "mnist.npz").is_file():
        return read_npz(folder / "mnist.npz")
    files = {
        part: next((f for f in (folder / name, folder / f"{name}.gz") if f.is_file()), None)
        for part, name in IDX.items()
    }
    missing = [IDX[part] for part, file in files.items() if file is None]
    if missing:
        raise DataError(
            f"HARNESS_DATA_DIR: {folder}: expected mnist.npz, or four IDX files (plain or .gz); "
            f"missing {', '.join(missing)}"
        )
    return {part: read_idx(file, part) for part, file in files.items() if file}


def read_npz(file: Path, shown: str | None = None) -> Parts:
    """Return MNIST's arrays from an .npz, each proved by its digest; nothing is unpickled."""
    where = shown or str(file)
    try:
        parts = containers.read_npz(file, SHAPES)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except Exception as error:  # readers of a damaged file raise almost anything
        said = f"a file that cannot be read ({short(error)})"
        if str(error).startswith("Object arrays"):
            said = "Python objects, which are never unpickled"
        elif isinstance(error, zipfile.BadZipFile) and "not a zip" in str(error):
            said = "a file that cannot be read (it is no zip archive)"
        raise DataError(
            f"{where}: expected a whole .npz of plain arrays; received {said}"
        ) from None
    return {part: _checked(part, array, where) for part, array in parts.items()}


def read_idx(file: Path, part: str) -> NDArray[np.uint8]:
    """Return one of MNIST's arrays, (n, 28, 28) or (n,) uint8, from an IDX file.

    It may be gzipped, and is proved by its digest.

    Raises:
        DataError: it is damaged, or holds something else.
    """
    try:
        array = containers.read_idx(file, part, SHAPES[part])
    except DataError as error:
        raise DataError(f"{file}: {error}") from None
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise DataError(f"{file}: expected a whole IDX file of uint8; {short(error)}") from None
    return _checked(part, array, str(file))


def _checked(part: str, array: NDArray[np.uint8], where: str) -> NDArray[np.uint8]:
    """Return the array if it is MNIST's, to the bit."""
    digest = sha256(array)
    if digest != MNIST[part]:
        raise DataError(
            f"{where}: {part}: expected MNIST, SHA-256 {MNIST[part][:12]}…; "
            f"received other content, {digest[:12]}…"
        )
    return array


def _folder(name: str, digest: str = "") -> Path:
    return cache_folder() / "datasets" / f"{name}-{(digest or DIGESTS[name])[:16]}"


def _whole(name: str, digest: str = "") -> bool:
    """Say whether a prepared dataset lies in the cache with every byte in place."""
    files = [_folder(name, digest) / f"{part}.npy" for part in PARTS]
    try:
        if not all(file.is_file() and file.stat().st_size <= LIMIT_BYTES for file in files):
            return False
        return dataset_digest(load_dataset(files[0].parent)) == (digest or DIGESTS[name])
    except (OSError, ValueError, EOFError):
        return False


def _kept(name: str, parts: Parts, origin: str) -> Prepared:
    """Write a dataset into the cache, whole or not at all, and return it."""
    digest = dataset_digest(parts)
    if digest != DIGESTS[name]:
        raise DataError(
            f"dataset {name}: expected digest {DIGESTS[name][:12]}…; "
            f"received {digest[:12]}… (please report this)"
        )
    return Prepared(name, digest, _keep(name, digest, parts), origin)


def _keep(name: str, digest: str, parts: Parts) -> Path:
    """Return the folder of a dataset in the cache, once all of it lies there."""
    target = _folder(name, digest)
    if not _whole(name, digest):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with scratch(target.parent) as partial:
                for part in PARTS:
                    np.save(partial / f"{part}.npy", parts[part])
                # File by file: two harnesses at once write the same bytes, and leave a whole set.
                for part in PARTS:
                    target.mkdir(exist_ok=True)
                    (partial / f"{part}.npy").replace(target / f"{part}.npy")
        except OSError as error:
            raise DataError(
                f"{target}: the dataset cannot be kept there ({error.strerror}). "
                "Set HARNESS_CACHE_DIR to another folder"
            ) from None
    return target
