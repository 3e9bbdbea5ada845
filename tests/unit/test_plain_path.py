"""An environment in a folder with white space is called by a path that has none."""

import pytest

from harness.engine import launch
from harness.environments.passed_on import inductor_cache
from harness.environments.plain_path import plain_python
from harness.spec.config import Arm, Backend, Requirements

REQUIREMENTS = Requirements(cpu=("x",), gpu=("x",))
TORCH, NUMPY = (
    Backend(
        framework=name,
        environment="train-x",
        requirements=REQUIREMENTS,
        arms={"naive": Arm(module="naive.numpy")},
    )
    for name in ("torch", "numpy")
)


@pytest.fixture
def spaced(tmp_path, monkeypatch):
    """An environment's Python in a folder with a space, and a cache in one without."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_ENVIRONMENTS", str(tmp_path / "a project"))
    python = tmp_path / "a project" / "train-x" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("")
    python.chmod(0o755)
    return python


def test_pytorch_is_called_by_a_path_without_spaces_and_others_by_their_own(spaced, tmp_path):
    found = launch.interpreter_of("x", TORCH, tmp_path).path
    assert " " not in str(found)
    assert found.samefile(spaced)
    assert found.parent.parent.readlink() == spaced.parent.parent
    assert launch.interpreter_of("x", TORCH, tmp_path).path == found, "the same path at each start"
    assert launch.interpreter_of("x", NUMPY, tmp_path).path == spaced


def test_a_link_to_another_folder_is_made_anew(spaced):
    link = plain_python(spaced).parent.parent
    link.unlink()
    link.symlink_to(spaced.parents[2])
    assert plain_python(spaced).samefile(spaced)
    assert [each.name for each in link.parent.iterdir()] == [link.name], "nothing half made"


@pytest.mark.parametrize("name", ["a cache", "it's"])
def test_where_the_cache_has_no_such_path_either_it_is_called_by_its_own(
    spaced, tmp_path, monkeypatch, name
):
    assert inductor_cache() == {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache" / "inductor")}
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / name))
    assert plain_python(spaced) == spaced
    assert inductor_cache() == {}


def test_where_the_cache_cannot_be_written_it_is_called_by_its_own(spaced, tmp_path):
    (tmp_path / "cache").write_text("a file, no folder")
    assert plain_python(spaced) == spaced
