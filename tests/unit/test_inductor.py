"""Why PyTorch's compiler cannot call a C++ compiler, said before it tries."""

import sys
import sysconfig
import tempfile

import pytest

from harness.worker.inductor import compiler_fault


@pytest.fixture
def _whole(tmp_path, monkeypatch):
    """A system with a compiler and Python's headers, wherever the tests run."""
    (tmp_path / "Python.h").write_text("")
    monkeypatch.setenv("CXX", sys.executable)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", "/t")


@pytest.mark.usefixtures("_whole")
def test_each_fault_says_what_to_type(monkeypatch):
    assert compiler_fault("/project/torch/__init__.py") == ""
    assert "/a project/torch" in (said := compiler_fault("/a project/torch/__init__.py"))
    assert "Set HARNESS_CACHE_DIR to a writable folder" in said
    monkeypatch.setattr(tempfile, "tempdir", "/a folder")
    assert "Set TMPDIR to a writable folder" in compiler_fault("/project/torch/__init__.py")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "here is no no-such-compiler. Type: " in compiler_fault("/project/torch/__init__.py")
