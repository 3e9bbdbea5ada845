"""The gate on real backends: it agrees with what is right, and it fails on defects planted in a
copy of the workers' own code.
"""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness.records import store
from harness.records.parity import Parity
from tests.e2e.conftest import BACKENDS, ENVIRONMENTS, ROOT

QUICK = ("--point", "init", "--point", "adversarial")
NAMES = [*(f"{backend}/keras" for backend in BACKENDS), "numpy/naive"]  # nox -s parity has all


def record_of(project) -> Parity:
    (parity,) = store.load_all(project.results).parities
    return parity


def junit_of(project) -> ET.Element:
    return ET.parse(project.root / "parity.xml").getroot().find("testsuite")  # noqa: S314


@pytest.fixture(scope="module")
def checked(make_project):
    """A project whose arms were held to the referee."""
    project = make_project()
    done = project.run("parity", *NAMES, *QUICK, "--json", "parity.json", "--junit", "parity.xml")
    return project, done


def test_an_arm_of_every_backend_agrees_with_the_referee(checked):
    project, done = checked
    assert done.returncode == 0, done.stdout + done.stderr
    found = record_of(project)
    assert found.verdict == "agrees"
    assert [arm.name for arm in found.arms] == NAMES
    for arm in found.arms:
        assert arm.verdict == "agrees", arm
        assert arm.margin >= 3, arm.tightest
        assert arm.n_compared > 5 * 407_050
    assert re.search(
        r"tensorflow/keras 2\d\.\d+, jax/keras 16\.1181, torch/keras 16\.1181", found.documented[0]
    )


def test_the_noise_of_each_real_backend_is_in_the_record(checked):
    found = record_of(checked[0])
    for arm in found.arms:
        noise = found.twins[arm.name]
        assert 0 < noise["gradient/hidden/kernel relative"] < 5e-6, arm.name
        assert (
            noise["gradient/hidden/kernel relative"]
            <= found.floors["gradient/hidden/kernel relative"]
        )


def test_json_and_junit_hold_the_same_verdicts(checked):
    project, _ = checked
    assert Parity.model_validate_json((project.root / "parity.json").read_bytes()) == record_of(
        project
    )
    suite = junit_of(project)
    assert [case.get("name") for case in suite] == NAMES
    assert suite.get("failures") == suite.get("errors") == "0"


def parity_in_the_table(project):
    shown = json.loads(project.run("compare", "--format", "json").stdout)
    return [row["parity"] for table in shown["tables"] for row in table["rows"]]


def test_a_part_of_the_gate_is_no_verdict_its_quick_form_is_one_and_a_departure_stays(
    small, copy_of_harness
):
    """Two points say nothing of an arm; `--quick --missing` looks at what has trained; a part
    clears no departure elsewhere.
    """
    small.run("train", "numpy", "--arm", "naive", "--epochs", "1", "--dataset", "digits")
    part = ("parity", "numpy", "--arm", "naive", "--dataset", "digits", "--point", "init")
    assert small.run(*part).returncode == 0
    assert parity_in_the_table(small) == ["not checked"]
    assert ",not checked," in (small.results / "results.csv").read_text()
    done = small.run("parity", "--quick", "--missing")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "parity, quick form: 1 of 1 arms agree" in done.stdout
    assert parity_in_the_table(small) == ["agrees (quick)"]
    assert ",agrees (quick)," in (small.results / "results.csv").read_text()
    n_records = len(list((small.results / "parity").glob("*.jsonl")))
    assert "has its verdict" in small.run("parity", "--quick", "--missing").stdout
    assert len(list((small.results / "parity").glob("*.jsonl"))) == n_records
    planted = copy_of_harness / "harness" / "worker" / "arms" / "naive" / "numpy.py"
    text = planted.read_text()
    assert text.count("for batch in range(generator.num_batches):") == 1
    planted.write_text(
        text.replace(
            "for batch in range(generator.num_batches):",
            "for batch in range(min(generator.num_batches, 200)):",
        )
    )
    whole = ("parity", "numpy", "--arm", "naive", "--dataset", "digits", "--point", "epoch")
    departed = small.run(*whole, PYTHONPATH=str(copy_of_harness))
    assert departed.returncode == 1, departed.stdout + departed.stderr
    assert parity_in_the_table(small) == ["departs"]
    assert small.run(*part).returncode == 0
    assert parity_in_the_table(small) == ["departs"]
    assert small.run(*whole).returncode == 0
    assert parity_in_the_table(small) == ["not checked"]


RETURN = "    return model\n"
INTO_KERAS = "worker/keras_model.py"
UPDATE = """
    rule = model.optimizer.update_step
    model.optimizer.update_step = lambda gradient, variable, rate: rule(gradient, variable, {})
"""
LOSS = """
    class Lossy(keras.losses.Loss):
        def call(self, labels, outputs):
            numbers = keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32")
            chosen = keras.ops.sum(outputs * keras.ops.one_hot(numbers, 10), axis=-1)
            return {}
    model.compile(optimizer=model.optimizer, loss=Lossy(), metrics=["accuracy"])
"""
CALL = """
    layer, forward = layers[0], layers[0].call
    layer.call = lambda inputs, **more: {}
"""
APPLY = """
    apply = model.optimizer.apply
    model.optimizer.apply = lambda gradients, *rest, **more: apply({}, *rest, **more)
"""
DEFECTS = {
    # name: (backend, arm, spec, file, text there, what takes its place, quantity that must be found
    # to depart)
    "epsilon": (
        "torch",
        "keras",
        "mnist-mlp",
        INTO_KERAS,
        RETURN,
        "    model.optimizer.epsilon = 1e-8\n" + RETURN,
        "update/",
    ),
    "rho": (
        "jax",
        "keras",
        "mnist-mlp",
        INTO_KERAS,
        RETURN,
        "    model.optimizer.rho = 0.9001\n" + RETURN,
        "slot/",
    ),
    "learning rate off by 1e-5": (
        "jax",
        "keras",
        "mnist-mlp",
        INTO_KERAS,
        RETURN,
        UPDATE.format("rate * 1.00001") + RETURN,
        "update/",
    ),
    "loss without its clip": (
        "jax",
        "keras",
        "mnist-mlp",
        INTO_KERAS,
        RETURN,
        LOSS.format("-keras.ops.log(chosen + 1e-12)") + RETURN,
        "loss",
    ),
    "a mean over 128 of 96": (
        *("torch", "keras", "mnist-mlp", INTO_KERAS, RETURN),
        LOSS.format("-keras.ops.log(keras.ops.clip(chosen, 1e-7, 1 - 1e-7)) * 0.75") + RETURN,
        "loss",
    ),
    "a hidden unit dead": (
        *("tensorflow", "keras", "mnist-mlp-logits", INTO_KERAS, RETURN),
        CALL.format("forward(inputs) * (np.arange(512) != 7).astype('float32')") + RETURN,
        "hidden/a",
    ),
    "bfloat16 inputs": (
        *("tensorflow", "keras", "mnist-mlp-logits", INTO_KERAS, RETURN),
        CALL.format("forward(keras.ops.cast(keras.ops.cast(inputs, 'bfloat16'), 'float32'))")
        + RETURN,
        "hidden/a",
    ),
    "a bias that is not trained": (
        *("torch", "keras", "mnist-mlp-logits", INTO_KERAS, RETURN),
        APPLY.format("[*gradients[:3], gradients[3] * 0]") + RETURN,
        "slot/output/bias",
    ),
    "a bias left out": (
        "jax",
        "naive",
        "mnist-mlp",
        "worker/arms/naive/jax.py",
        "jnp.matmul(inputs, W) + b",
        "jnp.matmul(inputs, W)",
        "output/a",
    ),
    "a sum for a mean": (
        "torch",
        "naive",
        "mnist-mlp",
        "worker/arms/naive/torch.py",
        "loss_form).mean()",
        "loss_form).sum()",
        "loss",
    ),
    "a slot one step stale": (
        *("tensorflow", "native", "mnist-mlp", "worker/optimizers.py"),
        "    square = square * settings.rho + gradient * gradient * (1 - settings.rho)\n"
        "    return weight - gradient * settings.learning_rate / sqrt(square + "
        "settings.epsilon), (square,)",
        "    new = square * settings.rho + gradient * gradient * (1 - settings.rho)\n"
        "    return weight - gradient * settings.learning_rate / sqrt(square + "
        "settings.epsilon), (new,)",
        "update/",
    ),
}


@pytest.fixture
def small(project):
    """A project with hidden layers of 16 units: what is tried here are the points, not the arms."""
    file = project.root / "backends.toml"
    file.write_text(file.read_text().replace("units = 512", "units = 16"))
    return project


LATE = {
    # name: (backend, arm, file, text there, what takes its place, update at which it departs first)
    "a rate that changes between updates 300 and 466": (
        *("jax", "keras", INTO_KERAS, RETURN),
        UPDATE.format(
            "rate * (1 + 0.1 * keras.ops.cast((count >= 300) & (count < 466), 'float32'))"
        ).replace("    rule", "    count = model.optimizer.iterations\n    rule")
        + RETURN,
        301,
    ),
    "batch 299 fed again in place of batch 300": (
        *("numpy", "naive", "worker/arms/naive/batches.py"),
        "        batch = slice(self.index, self.index + self.batch_size)\n",
        "        begin = self.index - (self.index == 300 * self.batch_size) * self.batch_size\n"
        "        batch = slice(begin, begin + self.batch_size)\n",
        301,
    ),
}


def names(known, *long):
    """Return the names of cases, some of them of long tests."""
    return [pytest.param(name, marks=[pytest.mark.long] if name in long else []) for name in known]


# The long ones have their twins on NumPy, at full size: tests/parity/test_full_size.py.
@pytest.mark.parametrize("name", names(LATE, "a rate that changes between updates 300 and 466"))
def test_a_defect_between_two_states_is_caught_and_its_update_is_named(
    small, copy_of_harness, name
):
    backend, arm, file, old, new, update = LATE[name]
    planted = copy_of_harness / "harness" / file
    text = planted.read_text()
    assert text.count(old) == 1
    planted.write_text(text.replace(old, new))
    done = small.run(
        "parity",
        backend,
        "--arm",
        arm,
        "--point",
        "init",
        "--point",
        "epoch",
        PYTHONPATH=str(copy_of_harness),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    (verdict,) = record_of(small).arms
    assert {departure.program for departure in verdict.departures} == {"epoch"}, (
        "each update from a given state is right"
    )
    assert (
        f"it agrees as far as update {update - 1}, and departs as far as update {update}"
        in done.stdout
    )


@pytest.mark.parametrize(
    "name",
    names(
        DEFECTS,
        *("rho", "learning rate off by 1e-5", "a mean over 128 of 96", "bfloat16 inputs"),
        *("a bias that is not trained", "a sum for a mean"),
    ),
)
def test_a_defect_in_a_real_backend_is_caught_where_it_is(project, copy_of_harness, name):
    backend, arm, spec, file, old, new, quantity = DEFECTS[name]
    planted = copy_of_harness / "harness" / file
    text = planted.read_text()
    assert text.count(old) == 1
    planted.write_text(text.replace(old, new))
    done = project.run(
        "parity",
        backend,
        "--arm",
        arm,
        "--spec",
        spec,
        "--point",
        "adversarial",
        PYTHONPATH=str(copy_of_harness),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    (verdict,) = record_of(project).arms
    assert verdict.verdict == "departs", verdict
    assert verdict.departures[0].quantity.startswith(quantity), verdict.departures
    assert f"{backend}/{arm}: departs at" in done.stdout


def test_a_referee_that_is_wrong_itself_is_suspected_and_not_two_backends(project, copy_of_harness):
    planted = copy_of_harness / "harness" / "referee" / "oracle.py"
    text = planted.read_text()
    right = "_rounded(optimizer.rho) * slots[0] + _rounded(1 - optimizer.rho) * gradient**2"
    assert text.count(right) == 1
    planted.write_text(text.replace(right, "0.91 * slots[0] + 0.09 * gradient**2"))
    done = project.run(
        "parity",
        "jax",
        "numpy",
        "--arm",
        "naive",
        "--point",
        "adversarial",
        PYTHONPATH=str(copy_of_harness),
    )
    assert done.returncode == 1
    assert record_of(project).verdict == "oracle suspect"
    assert "suspect the referee" in done.stdout


def test_a_worker_that_dies_midway_is_a_failure_of_its_arms_and_of_no_other(project):
    project.wrap("train-numpy", 'case "$3" in *job.json) kill -9 $$;; esac; exec "$REAL" "$@"')
    done = project.run(
        "parity", "jax", "numpy", "--arm", "naive", "--point", "init", "--junit", "parity.xml"
    )
    assert done.returncode == 1
    verdicts = {arm.name: arm for arm in record_of(project).arms}
    assert verdicts["jax/naive"].verdict == "agrees"
    assert verdicts["numpy/naive"].verdict == "failed"
    assert "SIGKILL" in verdicts["numpy/naive"].reason
    assert junit_of(project).get("errors") == "1"


def test_a_backend_that_labels_itself_falsely_is_refused(project):
    """An environment whose Keras computes with another backend than its name says."""
    project.wrap(
        "train-tf",
        'export KERAS_BACKEND=jax; exec "$REAL" "$@"',
        real=ENVIRONMENTS / "train-jax" / "bin" / "python",
    )
    done = project.run("parity", "tensorflow", "--arm", "keras", "--point", "init")
    assert done.returncode == 1
    (verdict,) = record_of(project).arms
    assert verdict.verdict == "failed"
    assert verdict.reason


def test_a_missing_environment_is_a_failure_with_what_to_type(project):
    (project.root / ".nox" / "train-jax").unlink()
    done = project.run("parity", "jax", "--arm", "naive", "--point", "init")
    assert done.returncode == 1
    assert "harness setup jax" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--point", "resinc-10"), "--point: expected one of"),
        (("--point", "resync-2346"), "--point: expected one of"),
        (("--spec", "mnist-naive", "--point", "resync-2345"), "resync-4690"),  # its ten epochs
        (
            ("--arm", "native-idiomatic", "--point", "adversarial"),
            "Add --point init, or leave out the arm",
        ),
        (
            ("--quick", "--point", "init"),
            "--quick: it chooses the points itself. Leave out --point",
        ),
        (("--quick", "--full"), "--quick: it chooses the points itself. Leave out --full"),
        (("--missing",), "harness parity --quick --missing"),
        (("jax", "--quick", "--missing"), "Leave out the names of arms"),
        (("--spec", "mnist-naive-native"), "each framework draws its own"),
        (("--arm", "kears"), "Did you mean 'keras'"),
        (("jaxx",), "Did you mean 'jax'"),
    ],
)
def test_a_check_that_would_compare_nothing_is_a_usage_error(project, arguments, said):
    done = project.ask("parity", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path(project.results / "parity").exists()


NULL_CHANGES = {
    # name: (backend, arms, environment variables that backends.toml gives it, arguments)
    "one thread": ("tensorflow", "native", {}, ("--threads", "1")),
    "oneDNN off": ("tensorflow", "naive", {"TF_ENABLE_ONEDNN_OPTS": "0"}, ()),
    "jit off": ("jax", "naive", {"JAX_DISABLE_JIT": "1"}, ()),
}


@pytest.mark.parametrize("name", names(NULL_CHANGES, "oneDNN off"))
def test_what_must_not_matter_is_no_departure_on_a_real_backend(project, name):
    backend, arm, variables, arguments = NULL_CHANGES[name]
    file = project.root / "backends.toml"
    given = "".join(f'variables.{key} = "{value}"\n' for key, value in variables.items())
    text = re.sub(r"^variables = .*\n", "", file.read_text(), flags=re.MULTILINE)
    file.write_text(text.replace(f"[backends.{backend}]\n", f"[backends.{backend}]\n{given}"))
    done = project.run("parity", backend, "--arm", arm, *QUICK, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_same_check_again_by_a_copy_without_a_defect_finds_the_same_to_the_bit(
    project, copy_of_harness
):
    found = []
    asked = ("parity", "jax", "--arm", "naive", "--point", "adversarial")
    for results, code in (("one", ROOT), ("two", copy_of_harness)):
        done = project.run(*asked, "--results", results, PYTHONPATH=str(code))
        assert done.returncode == 0, done.stdout + done.stderr
        found += store.load_all(project.root / results).parities
    assert found[0].arms == found[1].arms
    assert found[0].floors == found[1].floors
    assert found[0].twins == found[1].twins


@pytest.mark.long
def test_trainings_left_to_themselves_are_compared_as_weights_and_as_functions(project):
    done = project.run(
        *(
            "parity",
            "jax",
            "numpy",
            "--arm",
            "naive",
            "--point",
            "init",
            "--full",
            "--seed",
            "0",
            "--seed",
            "1",
            "--dataset",
            "digits",
        ),
        *("--markdown", "parity.md"),
    )
    found = record_of(project)
    assert done.returncode == (0 if found.verdict == "agrees" else 3), done.stdout + done.stderr
    assert found.verdict in (
        "agrees",
        "inconclusive",
    )  # two seeds may be too few to show equivalence, and that is no pass
    assert {(run.name, run.seed) for run in found.free_runs} == {
        (f"{name}/naive", seed) for name in ("jax", "numpy") for seed in (0, 1)
    }
    for run in found.free_runs:
        assert run.verdict == "agrees"
        assert run.drift["1"] < run.gates["1"] <= 1e-5
        assert run.test_accuracy > 0.9
    (pair,) = found.pairs
    assert len(pair.flips) == len(pair.barrier) == len(pair.difference_points) == 2
    assert all(0 < flips < 500 for flips in pair.flips), "two runs that are not one"
    assert "| jax/naive - numpy/naive |" in (project.root / "parity.md").read_text()


@pytest.mark.parametrize(
    ("batch_size", "looks"),
    [
        (6_000, ["1", "2", "5", "10"]),
        pytest.param(30_000, ["1", "2"], marks=pytest.mark.long),
    ],
)
def test_a_training_of_few_large_batches_is_checked_and_trained_to_its_end(
    small, batch_size, looks
):
    file = small.root / "backends.toml"
    shorter = f'[specs.mnist-mlp]\nepochs = 2\nbatch_size = {batch_size}\nloss_form = "probs"'
    whole = file.read_text().replace('[specs.mnist-mlp]\nloss_form = "probs"', shorter)
    file.write_text(whole)
    points = ("--point", "init", "--point", "adversarial", "--point", "epoch")
    done = small.run(
        "parity", "numpy", "--arm", "naive", *points, "--full", "--seed", "0", "--dataset", "digits"
    )
    assert done.returncode in (0, 3), done.stdout + done.stderr
    found = record_of(small)
    assert done.returncode == {"agrees": 0, "inconclusive": 3}[found.verdict], (
        done.stdout + done.stderr
    )
    n_updates = 60_000 // batch_size
    assert list(found.free_runs[0].drift) == looks
    (arm,) = found.arms
    assert arm.verdict == "agrees"
    assert f"epoch update-{n_updates}" in arm.covers
    refused = small.run(
        "parity",
        "numpy",
        "--arm",
        "naive",
        "--dataset",
        "digits",
        "--point",
        f"resync-{5 * n_updates}",
    )
    assert refused.returncode == 2
    assert f"resync-{2 * n_updates}" in refused.stderr, "two epochs, as the spec says"
