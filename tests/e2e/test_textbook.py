"""`harness textbook` as a user types it; the gradients come from the real frameworks."""

import json
import re
import subprocess

import numpy as np
import pytest

from harness.engine.executor import make_executor, perform
from harness.job.asked import Derive
from harness.lessons import momentum
from harness.lessons.gradients import QUANTITIES, faults
from harness.spec import config
from tests.e2e.conftest import BACKENDS, ENVIRONMENTS

KERAS = """
import json, keras
path, weight = [2.0], keras.Variable(2.0, name="w")
optimizer = keras.optimizers.SGD(0.005, momentum=0.9, nesterov={nesterov})
for _ in range({n_steps}):
    w = float(weight)
    optimizer.apply([keras.ops.convert_to_tensor(12 * w * (w - 1) * (w + 2))], [weight])
    path.append(float(weight))
print(json.dumps(path))
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_framework_derives_every_quantity_exactly(project, backend):
    backends = config.load(project.root / "backends.toml").backends
    answer = perform(make_executor(project.root, backends), Derive(backend=backend)).answer
    assert faults(answer) == []
    assert answer.values.keys() == QUANTITIES.keys()


def test_harness_textbook_gradients_shows_a_column_a_backend_and_that_all_are_exact(project):
    done = project.run("textbook", "gradients")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"quantity +expected +tensorflow +jax +torch *\n", done.stdout)
    assert re.search(r"d loss / d W +2\.0 +2\.0 +2\.0 +2\.0 *\n", done.stdout)
    assert "every gradient is exact" in done.stdout


def test_harness_textbook_gradients_says_what_to_type_where_an_environment_is_missing(project):
    (project.root / ".nox" / "train-jax").unlink()
    done = project.run("textbook", "gradients")
    assert (done.returncode, done.stderr) == (1, "")
    assert "! jax: environment missing. Run: harness setup jax\n" in done.stdout
    assert re.search(r"d loss / d b +1\.0 +1\.0 +- +1\.0 *\n", done.stdout)


def test_harness_textbook_summary_is_exact(project):
    done = project.run("textbook", "summary", "--spec", "mnist-mlp-logits")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"hidden +Dense \(relu\) +\(None, 512\) +401,920 *\n", done.stdout)
    assert re.search(r"output +Dense \(linear\) +\(None, 10\) +5,130 *\n", done.stdout)
    assert "parameters: 407,050, all of them trainable" in done.stdout


def test_harness_textbook_summary_of_a_spec_that_is_not_there_is_one_sentence(project):
    done = project.run("textbook", "summary", "--spec", "mnist-mpl")
    assert done.returncode == 2
    assert re.fullmatch(
        r"--spec: expected one of mnist-mlp, .+; received 'mnist-mpl'\. Did you mean "
        r"'mnist-mlp'\?\n",
        done.stderr,
    )


def test_harness_textbook_ops_shows_loops_a_hundred_times_slower(project):
    done = project.run("textbook", "ops", "--rounds", "20", "--repetitions", "3")
    assert (done.returncode, done.stderr) == (0, "")
    lesson, published = (
        line
        for line in done.stdout.splitlines()
        if "(20, 100), (20, 100)" in line and "add  " not in line
    )
    ratio, difference = re.search(r" (\d+) \(\d+-\d+\) +(\S+) *$", lesson).groups()
    assert int(ratio) > 100
    assert difference == "0"
    assert published.split()[-5:] == ["1000", "0.02", "2.45", "122", "-"]


def test_harness_textbook_momentum_shows_which_path_leaves_the_first_valley(project):
    done = project.run("textbook", "momentum")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(
        r"0 .+ -5\.0000 +local minimum *\n 0\.9 .+ -32\.0000 +global minimum *\n", done.stdout
    )


def keras_path(home, nesterov):
    script = KERAS.format(nesterov=nesterov, n_steps=momentum.N_STEPS)
    command = [str(ENVIRONMENTS / "train-jax" / "bin" / "python"), "-c", script]
    variables = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "KERAS_HOME": str(home)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return np.array(json.loads(done.stdout))


def test_the_momentum_told_here_is_keras_s_with_nesterov(tmp_path):
    np.testing.assert_allclose(
        momentum.two_paths()[0.9], keras_path(tmp_path, nesterov=True), rtol=0, atol=1e-4
    )


def test_the_momentum_told_here_is_not_keras_s_plain_one(tmp_path):
    assert np.abs(momentum.two_paths()[0.9] - keras_path(tmp_path, nesterov=False)).max() > 0.1
