"""What an environment holds, as a digest: real virtual environments, real wheels, pip itself;
nothing comes from the network.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import pytest

from harness.environments.content import content_digest

VARIABLES = {"PATH": os.environ["PATH"]}
BACKEND = '''
"""A PEP 517 backend that can do one thing: an editable install."""
import zipfile

def build_editable(folder, settings=None, metadata=None):
    name = "mine-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        for inner, text in FILES.items():
            wheel.writestr(inner, text)
        metadata = "Metadata-Version: 2.1\\nName: mine\\nVersion: 1.0\\n"
        tags = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr("mine-1.0.dist-info/METADATA", metadata)
        wheel.writestr("mine-1.0.dist-info/WHEEL", tags)
        wheel.writestr("mine-1.0.dist-info/RECORD", "")
    return name
'''
FINDER = """
import sys
MAPPING = {mapping!r}
class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None
def install():
    sys.meta_path.append(Finder)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "environments"


@pytest.fixture
def wheel(tmp_path):
    """A wheel of a package "layers" 1.0: a module, data, a header, and a compiled one."""
    file = tmp_path / "layers-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("layers/__init__.py", "FACTOR = 1.0\n")
        archive.writestr("layers/table.bin", "0123456789")
        archive.writestr("layers/fast.so", "not really")
        archive.writestr(
            "layers-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: layers\nVersion: 1.0\n"
        )
        archive.writestr(
            "layers-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("layers-1.0.dist-info/RECORD", "")
    return file


def environment(folder, wheel=None):
    """Make a virtual environment with a wheel unpacked in it, and return its Python."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    if wheel:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site(python))
    return python


def pip(python, *what):
    """Have pip install something in an environment, as a user does, and return its Python."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "-q",
        "--no-index",
        "--no-build-isolation",
    ]
    subprocess.run([*command, *map(str, what)], check=True)
    return python


def site(python):
    (folder,) = (python.parents[1] / "lib").glob("python*/site-packages")
    return folder


def digest(python):
    found = content_digest(python, VARIABLES)
    assert found is not None
    return found


def test_the_same_wheel_installed_twice_has_the_same_content_whatever_the_folder_and_the_time(
    tmp_path, wheel
):
    first, second = (pip(environment(tmp_path / name), wheel) for name in ("a", "another one"))
    subprocess.run([str(second), "-c", "import layers"], check=True)  # writes bytecode
    os.utime(site(second) / "layers" / "__init__.py", (1, 1))
    assert digest(first) == digest(second)
    assert digest(environment(tmp_path / "empty")) != digest(first)


@pytest.mark.parametrize(
    "inner",
    ["layers/__init__.py", "layers/table.bin", "layers/fast.so", "layers-1.0.dist-info/METADATA"],
)
def test_an_edit_of_what_is_installed_is_another_content_and_taking_it_out_gives_the_old_one_back(
    tmp_path, wheel, inner
):
    python = environment(tmp_path / "a", wheel)
    file = site(python) / inner
    before, text, status = digest(python), file.read_bytes(), file.stat()
    file.write_bytes(text.replace(text[-3:-2], b"#"))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # same size, and said to be as old
    assert digest(python) != before
    file.write_bytes(text)
    assert digest(python) == before


def test_a_new_file_and_a_missing_one_are_another_content(tmp_path, wheel):
    python = environment(tmp_path / "a", wheel)
    before = digest(python)
    (site(python) / "sitecustomize.py").write_text("")
    with_more = digest(python)
    assert with_more != before
    (site(python) / "sitecustomize.py").unlink()
    (site(python) / "layers" / "fast.so").unlink()
    assert len({before, with_more, digest(python)}) == 3


def test_what_pip_writes_down_and_what_no_import_reads_is_no_content(tmp_path, wheel):
    python = environment(tmp_path / "a", wheel)
    before = digest(python)
    for inner in (
        "layers-1.0.dist-info/INSTALLER",
        "layers-1.0.dist-info/direct_url.json",
        "layers/api.h",
        "pip/__init__.py",
    ):
        (site(python) / inner).parent.mkdir(exist_ok=True)
        (site(python) / inner).write_text("{}")
    assert digest(python) == before


@pytest.fixture
def source(tmp_path):
    """A project with sources in src/mine and, beside them, what is no code."""
    folder = tmp_path / "project"
    (folder / "src" / "mine").mkdir(parents=True)
    (folder / "src" / "mine" / "__init__.py").write_text("RATE = 0.1\n")
    (folder / "results").mkdir()
    return folder


def editable(source, files):
    """Make a project one that pip can install as editable, by these files in site-packages."""
    (source / "backend.py").write_text(BACKEND + f"FILES = {files!r}\n")
    lines = ["[build-system]", "requires = []", 'build-backend = "backend"', 'backend-path = ["."]']
    (source / "pyproject.toml").write_text(
        "\n".join([*lines, "[project]", 'name = "mine"', 'version = "1.0"'])
    )
    return "-e", source


def files_of(kind, source):
    """Return what stands in site-packages for an editable install: a path, a finder, or a finder
    that tells nobody where.
    """
    if kind == "path":
        return {"__editable__.mine.pth": f"{source / 'src'}\n"}
    mapping = {"mine": str(source / "src" / "mine")} if kind == "finder" else {}
    run = "import __editable___mine_finder; __editable___mine_finder.install()\n"
    return {
        "__editable__.mine.pth": run,
        "__editable___mine_finder.py": FINDER.format(mapping=mapping),
    }


@pytest.mark.parametrize("kind", ["path", "finder", "silent finder"])
def test_an_edit_in_an_editable_install_is_another_content_and_a_result_beside_it_is_not(
    tmp_path, source, kind
):
    python = pip(environment(tmp_path / "a"), *editable(source, files_of(kind, source)))
    before = digest(python)
    (source / "results" / "run.json").write_text("{}")
    (source / ".nox" / "lib").mkdir(parents=True)
    (source / ".nox" / "lib" / "other.py").write_text("")
    venv.create(source / "env")
    assert digest(python) == before
    (source / "src" / "mine" / "__init__.py").write_text("RATE = 0.2\n")
    edited = digest(python)
    (source / "src" / "mine" / "__init__.py").write_text("RATE = 0.1\n")
    assert edited != before == digest(python)


@pytest.mark.parametrize("kind", ["path", "finder"])
def test_an_editable_install_of_another_folder_with_the_same_sources_has_the_same_content(
    tmp_path, source, kind
):
    first = pip(environment(tmp_path / "a"), *editable(source, files_of(kind, source)))
    moved = shutil.copytree(source, tmp_path / "elsewhere")
    second = pip(environment(tmp_path / "b"), *editable(moved, files_of(kind, moved)))
    assert digest(first) == digest(second)


def test_a_folder_that_is_a_link_to_itself_and_a_pipe_named_like_a_module_hang_nothing(
    tmp_path, wheel
):
    python = environment(tmp_path / "a", wheel)
    before = digest(python)
    (site(python) / "layers" / "again").symlink_to(site(python))
    os.mkfifo(site(python) / "pipe.py")
    began = time.monotonic()
    digest(python)
    assert time.monotonic() - began < 10
    (site(python) / "layers" / "again").unlink()
    assert digest(python) == before


def test_a_folder_that_is_linked_into_an_environment_is_part_of_it(tmp_path, wheel):
    python = environment(tmp_path / "a", wheel)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "__init__.py").write_text("1\n")
    (site(python) / "linked").symlink_to(tmp_path / "linked")
    before = digest(python)
    (tmp_path / "linked" / "__init__.py").write_text("2\n")
    assert digest(python) != before


def old(python):
    """Wait until no file of an environment is so young that it would be read again."""
    newest = max(file.stat().st_ctime for file in site(python).rglob("*"))
    time.sleep(max(0.0, newest + 2.1 - time.time()))


def test_only_a_file_that_has_changed_is_read_again(tmp_path, wheel, cache):
    python = environment(tmp_path / "a", wheel)
    old(python)
    before = digest(python)
    assert len(list(cache.glob("*.whole.json"))) == 1
    (table,) = (file for file in cache.glob("*.json") if "whole" not in file.name)
    marked = table.read_text().replace(
        json.loads(table.read_text())["files"][str(site(python) / "layers/fast.so")][-1], "f" * 64
    )
    table.write_text(marked)
    assert digest(python) == before, "nothing has changed: the table is not even read"
    (site(python) / "layers" / "__init__.py").write_text("FACTOR = 2.0\n")
    changed = digest(python)
    table.unlink()
    next(iter(cache.glob("*.whole.json"))).unlink()
    assert digest(python) != changed, (
        "what was not changed was taken from the table, marked as it was"
    )


def test_a_torn_cache_is_made_anew(tmp_path, wheel, cache):
    python = environment(tmp_path / "a", wheel)
    old(python)
    before = digest(python)
    files = list(cache.glob("*.json"))
    assert len(files) == 2
    for content in (
        b"",
        b"\xff\x00",
        b"[]",
        b'{"format": 1, "files": 3}',
        b'{"key": 1}',
        b'{"format": 1, "files": {"x": 1}}',
    ):
        for file in files:
            file.write_bytes(content)
        assert digest(python) == before
        assert {tuple(json.loads(file.read_text())) for file in files} == {
            ("format", "files"),
            ("key", "digest"),
        }


def test_without_a_cache_folder_the_content_is_the_same(tmp_path, wheel, monkeypatch):
    python = environment(tmp_path / "a", wheel)
    before = digest(python)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert digest(python) == before


@pytest.mark.parametrize(
    "script", ["exit 3", "echo nonsense", "kill -9 $$", "head -c 1000 /dev/urandom"]
)
def test_a_python_that_does_not_say_where_it_imports_from_has_no_known_content(tmp_path, script):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    assert content_digest(python, VARIABLES) is None
    assert content_digest(Path(tmp_path / "missing"), VARIABLES) is None
