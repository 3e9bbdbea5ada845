"""One model on two devices: each common fault of that is caught by the gate, and named."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from harness.experiments.parity.judge import judge_arm
from harness.experiments.proof import mutants
from harness.experiments.proof import student as one_device
from harness.experiments.proof.prove import student_answer
from harness.experiments.proof.student import State, Student, Update
from tests.parity.small import SPECS, planned, reference

SIZE = SPECS["probs"].batch_size


def halves(x, y):
    return list(zip(np.array_split(x, 2), np.array_split(y, 2), strict=True))


def mean(gradients):
    return np.mean(gradients, axis=0)


@dataclass(frozen=True, slots=True)
class OnTwo(Student):
    """The student on two devices: each derives its part of a batch, and the parts are reduced."""

    parts: Callable = halves
    reduce: Callable = mean

    def step(self, state, samples):
        found, _ = Student.step(self, state, samples)
        several = [Student.step(self, state, each)[0] for each in self.parts(*samples)]
        names = [name for name in found if name.startswith("gradient/")]
        found |= {name: self.reduce([each[name] for each in several]) for name in names}
        number = state.n_updates + 1
        after = {}
        for name, weight in state.weights.items():
            given = weight, state.slots[name], found[f"gradient/{name}"]
            after[name] = one_device.update(Update(self.spec.optimizer, name, *given, number))
        state = State(
            {name: new for name, (new, _) in after.items()},
            {name: slots for name, (_, slots) in after.items()},
            number,
        )
        return found | self._held(state), state


def checked(apart=None, **parts):
    """The verdict on an arm of two devices that has these parts of the student replaced."""
    answer = student_answer(reference(), OnTwo(SPECS["probs"], "probs", **parts))
    answer.traces = [trace for trace in answer.traces if trace.program == "production"]
    same = {"set": 0.0, "slot": 0.0, "weight": 0.0}
    answer.apart = {name: same | (apart or {}) for name in reference().points}
    request = planned()
    several = request.request.model_copy(update={"replicas": 2})
    return judge_arm(reference(), answer, replace(request, request=several), {})


def test_two_devices_agree_with_one_by_the_same_gates():
    found = checked()
    assert found.verdict == "agrees", found.reason
    assert found.margin >= 3
    assert "replicas/weight" in {gate.quantity for gate in found.gates["production init"]}


def filled_up(rows):
    """Both halves of a batch that is filled up to a full one with rows of its own."""

    def parts(x, y):
        more = np.resize(rows(len(y)), SIZE - len(y))
        return halves(np.concatenate([x, x[more]]), np.concatenate([y, y[more]]))

    return {"parts": parts}


FAULTS = {
    "sum for mean": (
        {"reduce": lambda each: np.sum(each, axis=0)},
        {},
        "the sum over 2 replicas where their mean is due",
    ),
    "no all-reduce": (
        {"reduce": lambda each: each[0]},
        {"weight": 1e-3, "slot": 1e-3},
        "nothing is added up over the replicas: the gradient is that of replica 0's part",
    ),
    "the same part twice": (
        {"parts": lambda x, y: halves(x, y)[:1] * 2},
        {},
        "every replica was given the same part of the batch: the gradient is that of replica 0's",
    ),
    "a replica's batch for the global one": (
        {"batches": lambda samples, size: one_device.batches(samples, 2 * size)},
        {},
        "each replica took a whole batch: the global batch has grown to 64",
    ),
    "mean of unequal means": (
        {"parts": lambda x, y: list(one_device.batches((x, y), SIZE // 2))},
        {},
        "a mean of the means of unequal parts, 16 + 8 samples",
    ),
    "short batch dropped": (
        {"batches": mutants.without_last},
        {},
        "the short batch was dropped",
    ),
    "padded with the last sample": (
        filled_up(lambda n: [n - 1]),
        {},
        "the batch of 24 was filled up to 32 with its last sample, which count",
    ),
    "padded with the first samples": (
        filled_up(np.arange),
        {},
        "the batch of 24 was filled up to 32 with its first samples, which count",
    ),
    "stale optimizer on one replica": (
        {},
        {"weight": 1e-3, "slot": 1e-3},
        "the optimizer of one replica is stale: its slots are others",
    ),
    "unequal start": (
        {},
        {"set": 0.1, "weight": 0.1},
        "the replicas begin at other weights or slots: what was set reached one of them only",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_several_devices_departs_and_is_named(name):
    parts, apart, said = FAULTS[name]
    found = checked(apart, **parts)
    assert found.verdict == "departs"
    assert said in found.reason


@pytest.mark.parametrize(
    "parts", [{}, {"reduce": lambda each: 1.01 * mean(each)}, mutants.settings(rho=0.99)]
)
def test_what_is_no_fault_of_several_devices_is_not_called_one(parts):
    said = [departure.fit for departure in checked(**parts).departures]
    assert not [each for each in said if "replica" in each or "part" in each], said
