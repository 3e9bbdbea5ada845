"""Defects planted into the student, each with the stage that must catch it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.experiments.proof import mutants
from harness.experiments.proof.student import Student
from harness.referee.oracle import Loss
from harness.spec.config import SGD, Adam, Dense, RMSprop, Spec

N_LATE = 401  # updates of the epoch in which late defects are planted
LATE = f"epoch update-{N_LATE}"
FULL = 512  # units of the hidden layer, as in backends.toml


def specs(units: int = FULL) -> dict[str, Spec]:
    """Return what the gate is proved under, by name: each optimizer, both forms of the loss."""
    hidden = Dense(name="hidden", units=units, activation="relu")
    probs = (hidden, Dense(name="output", units=10, activation="softmax"))
    logits = (hidden, Dense(name="output", units=10, activation="linear"))
    return {
        "rmsprop-probs": Spec(layers=probs, optimizer=RMSprop(name="rmsprop"), loss_form="probs"),
        "rmsprop-logits": Spec(
            layers=logits, optimizer=RMSprop(name="rmsprop"), loss_form="logits"
        ),
        "adam-logits": Spec(layers=logits, optimizer=Adam(name="adam"), loss_form="logits"),
        "momentum-logits": Spec(
            layers=logits, optimizer=SGD(name="sgd", momentum=0.9), loss_form="logits"
        ),
        "sgd-probs": Spec(
            layers=probs, optimizer=SGD(name="sgd", learning_rate=0.001), loss_form="probs"
        ),
    }


@dataclass(frozen=True, slots=True)
class Defect:
    """One planted defect."""

    name: str
    # The quantity that must be the first to depart; of small epochs "loop QUANTITY", of the whole
    # first one "epoch UPDATE".
    at: str
    why: str
    parts: Mapping[str, Any]  # of the student, replaced
    spec: str = "rmsprop-probs"
    loss: Loss = field(default="probs")  # that the implementation is documented to compute

    @property
    def late(self) -> bool:
        """Whether it shows in the whole first epoch only."""
        return self.at.startswith("epoch ")

    def student(self, spec: Spec) -> Student:
        """Return the implementation of its spec that has it."""
        return Student(spec, self.loss, **self.parts)


STEP = "update/hidden/kernel"
DEFECTS = (
    Defect(
        "epsilon 1e-8",
        STEP,
        "slots are right, the denominator is not",
        mutants.settings(epsilon=1e-8),
    ),
    Defect(
        "epsilon outside the root",
        STEP,
        "slots are right, the denominator is not",
        {"update": mutants.epsilon_outside},
    ),
    Defect(
        "rho 0.99",
        "slot/hidden/kernel/square",
        "the first memory of the first weight",
        mutants.settings(rho=0.99),
    ),
    Defect(
        "rho 0.9001",
        "slot/hidden/kernel/square",
        "the same, a thousandth of it",
        mutants.settings(rho=0.9001),
    ),
    Defect(
        "learning rate x (1 + 1e-4)",
        STEP,
        "nothing before the update knows the rate",
        mutants.faster(1e-4),
    ),
    Defect(
        "bias 1 left out of the forward pass",
        "hidden/z",
        "where it is added, biases not zero",
        {"dense": mutants.without_bias},
    ),
    Defect(
        "bias 2 not trained",
        "slot/output/bias/square",
        "its gradient is right, its memory stands still",
        {"update": mutants.untrained},
    ),
    Defect(
        "kernels transposed",
        "inputs",
        "they do not read back as set",
        {"load": mutants.loaded_turned},
    ),
    Defect(
        "kernels transposed, and back on reading",
        "hidden/z",
        "first use",
        {"load": mutants.loaded_turned, "export": mutants.turned_back},
    ),
    Defect(
        "labels shifted inside the batch",
        "losses",
        "first use of labels",
        {"read": lambda x, y: (x, np.roll(y, 1))},
    ),
    Defect(
        "last batch dropped", "loop n_updates", "fewer updates", {"batches": mutants.without_last}
    ),
    Defect(
        "last batch divided by 128",
        "gradient/output/kernel",
        "96 samples; the mean loss is right",
        {"share": lambda n, size: 1 / size},
    ),
    Defect(
        "sum for mean",
        "gradient/output/kernel",
        "the mean loss is right",
        {"share": lambda n, size: 1},
    ),
    Defect("softmax twice", "output/a", "logits are right", {"activate": mutants.twice}),
    Defect("clip removed", "losses", "a sure and wrong sample", {"form": lambda loss: "unclipped"}),
    Defect(
        "clip added",
        "losses",
        "a sure and wrong sample",
        {"form": lambda loss: "probs"},
        loss="unclipped",
    ),
    Defect("leaky relu", "hidden/a", "negative z", {"activate": mutants.leaky}),
    Defect("TF32-like inputs", "hidden/z", "first product; 10 bits", mutants.cut(10)),
    Defect("bfloat16 inputs", "hidden/z", "first product; 7 bits", mutants.cut(7)),
    Defect(
        "/256 for /255",
        "hidden/z",
        "first use of pixels",
        {"read": lambda x, y: (x * np.float32(255 / 256), y)},
    ),
    Defect(
        "gradients not zeroed",
        "loop loss",
        "shows from the second update",
        {"collect": mutants.collected},
    ),
    Defect(
        "a slot one step stale",
        STEP,
        "its value is right, its use is late",
        {"update": mutants.stale},
    ),
    Defect(
        "bias correction missing",
        STEP,
        "slots are right",
        {"update": mutants.uncorrected},
        "adam-logits",
        "logits",
    ),
    Defect(
        "epoch 2 in epoch 1's order",
        "loop loss",
        "other batches, other losses",
        {"epochs": mutants.first_order},
    ),
    Defect("one hidden unit dead", "hidden/a", "one column of it", {"activate": mutants.dead}),
    Defect(
        "accuracy averaged over batches",
        "loop accuracy",
        "the last is short",
        {"accuracy": lambda n_right, n: (n_right / n).mean()},
    ),
    Defect(
        "slots not restored on load",
        "inputs",
        "they do not read back as set",
        {"load": mutants.without_slots},
    ),
    Defect(
        "learning rate x 1.1 from update 301 to 466",
        LATE,
        "no state is between",
        {"update": mutants.faster_for_a_while},
    ),
    Defect(
        "the same under SGD",
        LATE,
        "no state is between",
        {"update": mutants.faster_for_a_while},
        "sgd-probs",
    ),
    Defect(
        "batch 300 fed again as 301",
        LATE,
        "as many updates, other samples",
        {"batches": mutants.one_twice},
    ),
    Defect(
        "the same under SGD with momentum",
        LATE,
        "as many updates, other samples",
        {"batches": mutants.one_twice},
        "momentum-logits",
        "logits",
    ),
    Defect(
        "batches 311 and 312 exchanged",
        LATE,
        "the same samples in all",
        {"batches": mutants.two_exchanged},
    ),
    Defect(
        "two batches exchanged under plain SGD",
        LATE,
        "each update is its batch's gradient alone",
        {"batches": mutants.two_exchanged},
        "sgd-probs",
    ),
)
