"""The tables of a TOML file, or a sentence, in little time and memory, whatever the file is."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from harness.errors import ConfigError

MOST_BYTES = 256 * 1024  # forty times the largest that is shipped
MOST_PARTS = 32  # of a dotted key: tomllib's memory grows with the square of them
LONG_KEY = re.compile(
    rf"""(?<![\w-])(?:(?>[\w-]+|"[^"\n]*"|'[^'\n]*')(?>[ \t]*)\.(?>[ \t]*)){{{MOST_PARTS}}}""",
)


def parse_file(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        ConfigError: it cannot be read, is no regular file, is too large, or is no TOML.
    """
    try:
        content = _content(path)
    except (OSError, ValueError) as error:  # ValueError: a name with NUL in it
        said = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{path}: cannot be read ({said}). Name another file: --config FILE"
        ) from None
    try:
        text = content.decode()
        if LONG_KEY.search(text):
            raise ConfigError(
                f"{path.name}: expected keys of fewer than {MOST_PARTS} parts; "
                "received a longer one"
            )
        return tomllib.loads(text.replace("\r\n", "\n"))
    except RecursionError:
        raise ConfigError(
            f"{path.name}: not valid TOML: lists or tables are nested too deep"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name}: not valid TOML: {error}") from None
    except ValueError:  # what else tomllib lets through is Python's limit for integers
        raise ConfigError(f"{path.name}: not valid TOML: a number has too many digits") from None


def _content(path: Path) -> bytes:
    """Return the bytes of a regular file; opened without waiting for a FIFO's other end."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ConfigError(
                f"{path}: cannot be read (expected a regular file). "
                "Name another file: --config FILE"
            )
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ConfigError(
            f"{path}: cannot be read (expected at most {MOST_BYTES // 1024} KiB). "
            "Name another file: --config FILE"
        )
    return content
