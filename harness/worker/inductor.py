"""What PyTorch's compiler needs of a system, on every device: a C++ compiler that it can call."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path


def compiler_fault(pytorch: str) -> str:
    """Return why it cannot call one here, and what to type; nothing where it can.

    Args:
        pytorch: a file of it.
    """
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    missing = [] if shutil.which(compiler) else [f"no {compiler}"]
    missing += [] if Path(sysconfig.get_path("include"), "Python.h").is_file() else ["no Python.h"]
    if missing:
        linux, mac = "apt install g++ python3-dev, or your system's like", "xcode-select --install"
        return (
            "torch.compile needs a C++ compiler and Python's headers; here is "
            f"{' and '.join(missing)}. Type: {mac if sys.platform == 'darwin' else linux}"
        )
    # PyTorch lies in its environment, or behind a link that its orchestrator keeps in the cache.
    named = {"TMPDIR": tempfile.gettempdir(), "HARNESS_CACHE_DIR": pytorch}
    for setting, path in named.items():
        if len(path.split()) > 1:
            return (
                "torch.compile cannot give a C++ compiler a path with white space; here is "
                f"{path}. Set {setting} to a writable folder without any"
            )
    return ""
