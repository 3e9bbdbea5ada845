"""The Keras model saved under each backend and loaded under each, by real processes; and what goes
wrong there, done to real files.
"""

import json
import re

import pytest

from harness.engine.arms import declared_arms, select_arms
from harness.engine.executor import make_executor
from harness.engine.plan import plan
from harness.experiments.parity.round_trip import round_trips
from harness.records.parity import FORMS
from harness.spec import config
from harness.spec.data import mnist
from tests.e2e.conftest import BACKENDS

AS_ONE = """
import os, runpy, sys, zipfile
import h5py, keras
import numpy as np

save, save_weights, load_model = keras.Model.save, keras.Model.save_weights, keras.models.load_model

def edited(edit):
    '''Have every file that is saved edited: the .weights.h5, and the one inside of a .keras.'''
    def weights(model, path):
        save_weights(model, path)
        with h5py.File(path, "r+") as file:
            edit(file)
    def whole(model, path):
        save(model, path)
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        inner = f"{path}.weights.h5"
        open(inner, "wb").write(parts["model.weights.h5"])
        with h5py.File(inner, "r+") as file:
            edit(file)
        parts["model.weights.h5"] = open(inner, "rb").read()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
    keras.Model.save, keras.Model.save_weights = whole, weights

# DEFECT

sys.argv[1:] = sys.argv[3:]
runpy.run_module("harness.worker", run_name="__main__", alter_sys=True)
"""
NUDGE = """
def nudge(file):
    kernel = file["layers/dense/vars/0"]
    kernel[783, 511] = np.nextafter(kernel[783, 511], np.float32(1))
edited(nudge)
"""
RATE = """
def rate(file):
    file["optimizer/vars/1"][...] = 1e-3
edited(rate)
"""
FORGET = """
def forget(file):
    del file["optimizer"]
edited(forget)
"""
OTHER_OPTIMIZER = """
def with_adam(model, path):
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    other.compile("adam", model.loss)
    other.optimizer.build(other.trainable_variables)
    save_weights(other, path)
keras.Model.save_weights = with_adam
"""
CUT_SHORT = """
def short(model, path):
    save(model, path)
    os.truncate(path, 1000)
def short_weights(model, path):
    save_weights(model, path)
    os.truncate(path, 1000)
keras.Model.save, keras.Model.save_weights = short, short_weights
"""
UNCOMPILED = "keras.models.load_model = lambda path: load_model(path, compile=False)"
NOTHING_LOADED = "keras.Model.load_weights = lambda model, path: None"
UNBUILT = """
load_weights = keras.Model.load_weights
def unbuilt(model, path):
    model.compile("rmsprop", model.loss)
    load_weights(model, path)
keras.Model.load_weights = unbuilt
"""
SLOTS = "slot/hidden/kernel/square: 401408 of 401408 elements differ"
MISSING = ", ".join(
    f"slot/{weight}/square: missing" for weight in ("hidden/kernel", "hidden/bias", "output/kernel")
)
SKIPPED = (
    r"warned: Skipping variable loading for optimizer '\w+', because it has {} variables "
    r"whereas the saved optimizer has {} variables"
)
# What a worker does wrong; what is said of the .keras file, and of the .weights.h5; None where it
# comes back whole.
DEFECTS = {
    "one weight by one ulp": (
        NUDGE,
        "departs weight/hidden/kernel: 1 of 401408 elements differ",
        None,
    ),
    "the spec's learning rate": (
        RATE,
        r"departs learning_rate: expected 0\.0005\d*; received 0\.001\d*",
        None,
    ),
    "no optimizer in the file": (FORGET, rf"departs .*{SLOTS}.*; {SKIPPED.format(6, 0)}", None),
    "another optimizer's slots in the file": (
        OTHER_OPTIMIZER,
        "",
        rf"departs .*{SLOTS}.*; {SKIPPED.format(6, 10)}",
    ),
    "loaded without being compiled": (UNCOMPILED, f"departs {MISSING} and 5 more", ""),
    "loaded before the optimizer is built": (
        UNBUILT,
        "",
        rf"departs {MISSING} and 4 more; {SKIPPED.format(2, 6)}",
    ),
    "not loaded at all": (
        NOTHING_LOADED,
        "",
        "departs weight/hidden/kernel: 401408 of 401408 elements differ.* and 8 more",
    ),
    "files cut short": (CUT_SHORT, "failed .+Error: .+", "failed .+Error: .+"),
}

LONG = (
    *("the spec's learning rate", "no optimizer in the file"),
    *("loaded before the optimizer is built", "not loaded at all"),
)


def planned(project, spec_name, *backends):
    whole = config.load(project.root / "backends.toml")
    protocol = config.override_protocol(whole.protocol, epochs=1)
    whole = whole.model_copy(update={"protocol": protocol})
    arms = select_arms(declared_arms(whole), backends, default=protocol.arms)
    return plan(whole, spec_name, arms, mnist.prepare("digits"))


def executor(project):
    return make_executor(project.root, config.load(project.root / "backends.toml").backends)


def of_jax(project, defect):
    """Return the verdict and the reason of each form, saved and loaded under JAX by a worker with
    that defect.
    """
    (project.root / "as_one.py").write_text(AS_ONE.replace("# DEFECT", defect))
    project.wrap("train-jax", f'exec "$REAL" "{project.root}/as_one.py" "$@"')
    trips = round_trips(planned(project, "mnist-mlp", "jax"), executor(project))
    assert [trip.form for trip in trips] == list(FORMS)
    return [(trip.verdict, trip.reason) for trip in trips]


@pytest.mark.parametrize(
    "spec_name", ["mnist-mlp", pytest.param("mnist-mlp-adam-logits", marks=pytest.mark.long)]
)
def test_what_each_backend_saves_each_backend_loads_to_the_bit(project, spec_name):
    trips = round_trips(planned(project, spec_name, *BACKENDS), executor(project))
    everything = [(one, other, form) for other in BACKENDS for one in BACKENDS for form in FORMS]
    assert [(trip.saved_by, trip.loaded_by, trip.form) for trip in trips] == everything
    assert {(trip.verdict, trip.reason) for trip in trips} == {("agrees", "")}
    # Keras 3.15: what PyTorch's optimizers are filed as cannot be imported elsewhere.
    needy = {(trip.saved_by, trip.loaded_by, trip.form) for trip in trips if trip.alone}
    assert needy == {("torch", other, ".keras") for other in ("tensorflow", "jax")}
    assert all("keras.src.backend.torch.optimizers" in trip.alone for trip in trips if trip.alone)
    n_slots = 2 if "adam" in spec_name else 1
    assert {trip.n_compared for trip in trips} == {407_050 * (1 + n_slots) + 2}


def test_the_command_says_it_in_a_line_keeps_it_in_the_record_and_exits_0(project):
    done = project.run(
        "parity",
        "jax",
        "--dataset",
        "digits",
        "--point",
        "init",
        "--round-trips",
        "--json",
        "parity.json",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "round trips: 2 of 2 bitwise equal" in done.stdout
    record = json.loads((project.root / "parity.json").read_text())
    assert [
        (trip["loaded_by"], trip["form"], trip["verdict"]) for trip in record["round_trips"]
    ] == [("jax", form, "agrees") for form in FORMS]


@pytest.mark.long
def test_the_command_exits_1_where_one_departs_and_names_it(project):
    (project.root / "as_one.py").write_text(AS_ONE.replace("# DEFECT", NUDGE))
    project.wrap("train-jax", f'exec "$REAL" "{project.root}/as_one.py" "$@"')
    done = project.run(
        "parity",
        "jax",
        "--dataset",
        "digits",
        "--point",
        "init",
        "--round-trips",
        "--junit",
        "parity.xml",
    )
    assert done.returncode == 1
    assert "round trips: 0 of 2 bitwise equal" in done.stdout
    assert (
        "jax -> jax .keras, jax -> jax .weights.h5: weight/hidden/kernel: 1 of 401408 "
        "elements differ" in done.stdout
    )
    assert 'failures="2"' in (project.root / "parity.xml").read_text()


# What is said of the long ones is tested in tests/parity/test_round_trip.py.
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in DEFECTS],
)
def test_what_goes_wrong_is_named_and_never_passes(project, name):
    defect, whole, weights = DEFECTS[name]
    for form, (verdict, reason), wanted in zip(
        FORMS, of_jax(project, defect), (whole, whole if weights is None else weights), strict=True
    ):
        assert re.match(wanted or "agrees $", f"{verdict} {reason}"), f"{form}: {verdict}: {reason}"


def test_a_worker_that_dies_while_it_saves_fails_wherever_it_would_be_loaded_and_no_other(project):
    project.wrap(
        "train-jax",
        'if grep -q \'"kind": "SaveModel"\' "$3"; then kill -9 $$; fi\nexec "$REAL" "$@"',
    )
    trips = round_trips(planned(project, "mnist-mlp", "tensorflow", "jax"), executor(project))
    verdicts = {(trip.saved_by, trip.loaded_by): (trip.verdict, trip.reason) for trip in trips}
    killed = (
        "failed",
        "save under jax: killed by SIGKILL, from outside or by a system out of memory; "
        "last heard of: starting",
    )
    assert verdicts == {
        **dict.fromkeys([("tensorflow", "tensorflow"), ("tensorflow", "jax")], ("agrees", "")),
        **dict.fromkeys([("jax", "tensorflow"), ("jax", "jax")], killed),
    }


def test_a_worker_that_dies_while_it_loads_fails_for_all_that_it_should_have_loaded(project):
    project.wrap(
        "train-jax", 'if grep -q \'"kind": "LoadModels"\' "$3"; then exit 3; fi\nexec "$REAL" "$@"'
    )
    trips = round_trips(planned(project, "mnist-mlp", "jax"), executor(project))
    assert [trip.verdict for trip in trips] == ["failed", "failed"]
    assert all("environment broken" in trip.reason for trip in trips)


def test_without_a_keras_arm_it_is_refused_before_anything_runs(project):
    done = project.run("parity", "numpy", "--arm", "naive", "--dataset", "digits", "--round-trips")
    assert done.returncode == 2
    assert (
        done.stderr.strip()
        == "--round-trips: no arm here saves a Keras model. Name one that does: --arm keras"
    )
