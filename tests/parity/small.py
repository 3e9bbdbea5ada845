"""A network of 16 pixels, 8 hidden units and 10 classes, its referee and its student: parity in
milliseconds.
"""

from functools import cache
from pathlib import Path

import numpy as np

from harness.engine.plan import Planned
from harness.experiments.proof.prove import student_answer
from harness.experiments.proof.student import Student
from harness.records.parity import ArmParity, Parity
from harness.referee.ground import ground
from harness.spec import config
from harness.spec.config import Adam, Dense, RMSprop, Spec
from harness.spec.initializers import initial_weights
from tests.unit.records import record

BACKENDS = config.load(Path(__file__).resolve().parents[2] / "backends.toml").backends
N = 88  # two full batches of 32 and a short one
HIDDEN = Dense(name="hidden", units=8, activation="relu")
SPECS = {
    "probs": Spec(
        layers=(HIDDEN, Dense(name="output", units=10, activation="softmax")),
        optimizer=RMSprop(name="rmsprop"),
        loss_form="probs",
        batch_size=32,
    ),
    "logits": Spec(
        layers=(HIDDEN, Dense(name="output", units=10, activation="linear")),
        optimizer=Adam(name="adam"),
        loss_form="logits",
        batch_size=32,
    ),
}


@cache
def reference(form="probs"):
    random = np.random.default_rng(5)
    spec = SPECS[form]
    parts = {
        "x_train": random.integers(0, 256, (N, 4, 4)).astype(np.uint8),
        "y_train": random.integers(0, 10, N).astype(np.uint8),
    }
    weights = initial_weights(random.uniform, 16, [("hidden", 8), ("output", 10)])
    order = random.permutation(N)[None].astype(np.int32)
    return ground(spec, weights, order, parts, {spec.loss_form}, ("init", "adversarial"))


def handed_back(form="probs", **parts):
    """What an arm hands back that is right, or has these parts of the student replaced."""
    return student_answer(reference(form), Student(SPECS[form], SPECS[form].loss_form, **parts))


def planned(form="probs", **request):
    """An arm that owes both programs."""
    asked = {"backend": "jax", "module": "keras_fit", "spec": SPECS[form]} | request
    return Planned(record(**asked).request, Path(), None, None)


def check_with(verdict) -> Parity:
    """A check of one arm with that verdict; "oracle suspect": one that departs like all others."""
    some = record()
    asked = ("spec_name", "spec", "data", "device", "threads")
    arm = ArmParity(
        backend="jax",
        implementation="keras",
        module="keras_fit",
        verdict="departs" if verdict == "oracle suspect" else verdict,
    )
    return Parity(
        harness="0.6.0",
        run_id="some",
        started_at=some.started_at,
        host=some.host,
        seed=0,
        total_s=1,
        suspected=verdict == "oracle suspect",
        arms=(arm,),
        **{name: getattr(some.request, name) for name in asked},
    )
