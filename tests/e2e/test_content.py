"""An edit in an installed Keras, under the version that it had: what was known of the code before
is not said of the code after.
"""

import csv

import pytest

from tests.e2e.conftest import link_environment

LOOK = "lr = ops.cast(learning_rate, variable.dtype)"


def parities(project):
    """Return what the results table says of the parity of each run, oldest first."""
    project.run("compare")
    with (project.results / "results.csv").open() as file:
        return [row["parity"] for row in csv.DictReader(file)]


def trained(project):
    done = project.run("train", "jax", "--epochs", "1", "--dataset", "digits")
    assert done.returncode == 0, done.stdout + done.stderr
    return project.records()[-1]["environment_sha256"], done.stdout


@pytest.fixture
def checked(project):
    """A project with a Keras of its own under JAX, that was trained with, and agrees."""
    config = project.root / "backends.toml"
    config.write_text(config.read_text().replace("units = 512", "units = 32"))
    real = trained(project)[0]
    (project.root / ".nox" / "train-jax").unlink()
    keras = (
        link_environment("train-jax", project.root / ".nox" / "train-jax", copied="keras") / "keras"
    )
    assert trained(project)[0] == real, (
        "a copy and a folder of links hold what the environment itself holds"
    )
    done = project.run("parity", "jax", "--arm", "keras", "--dataset", "digits")
    assert done.returncode == 0, done.stdout + done.stderr
    assert parities(project) == ["agrees", "agrees"]
    return project, keras / "src" / "optimizers" / "rmsprop.py"


def test_a_defect_in_an_installed_keras_is_not_checked_then_departs_and_leaves_nothing_behind(
    checked,
):
    project, file = checked
    healthy = file.read_text()
    assert healthy.count(LOOK) == 1
    file.write_text(healthy.replace(LOOK, f"{LOOK} * 1.001"))
    content, shown = trained(project)
    assert parities(project) == ["agrees", "agrees", "not checked"]
    assert f"({content[:8]})" in shown
    assert "several rows, since the content of the environment was another" in shown
    assert project.run("parity", "jax", "--arm", "keras", "--dataset", "digits").returncode == 1
    assert parities(project) == ["agrees", "agrees", "departs"]
    file.write_text(healthy)
    trained(project)
    assert parities(project) == ["agrees", "agrees", "departs", "agrees"]


@pytest.mark.long
def test_a_bench_session_does_not_go_on_in_an_edited_environment(checked):
    project, file = checked
    size = (
        "bench",
        "jax/keras",
        "--dataset",
        "digits",
        "--generations",
        "2",
        "--blocks",
        "1",
    )
    started = project.run(*size, "--stop-after", "1")
    assert "stopped as asked" in started.stdout, started.stdout + started.stderr
    healthy = file.read_text()
    file.write_text(f"{healthy}\n# edited\n")
    refused = project.run(*size, "--resume")
    assert refused.returncode == 4, refused.stdout + refused.stderr
    assert "jax/keras: its environment began with content " in refused.stderr.replace(
        "jax/keras again", "jax/keras"
    )
    assert "Traceback" not in refused.stderr
