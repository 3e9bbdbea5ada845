"""The content of an arm of a user's own: its file and what that imports from beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from harness.spec.arm_source import is_own, own_sources, root_of


def with_own_code(environment_sha256: str | None, module: str, folder: Path) -> str | None:
    """Return the digest of what an arm can import: of a user's own, its source included.

    Args:
        environment_sha256: of the environment; None where nobody knows.
        module: the arm's.
        folder: that of backends.toml.

    Returns:
        A SHA-256; None where the environment's is not known, or a file cannot be read.
    """
    if environment_sha256 is None or not is_own(module):
        return environment_sha256
    root, found = root_of(module, folder), hashlib.sha256(environment_sha256.encode())
    try:
        for file in own_sources(module, folder):
            name = file.relative_to(root) if file.is_relative_to(root) else Path(file.name)
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            found.update(f"{name.as_posix()}\0{content}\n".encode(errors="surrogateescape"))
    except OSError:
        return None
    return found.hexdigest()
