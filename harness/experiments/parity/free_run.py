"""Trainings left to themselves.

Weights against the referee while rounding lets them be compared, functions after that.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.engine.executor import Executor, expect, perform
from harness.engine.plan import Planned
from harness.experiments.parity.gather import Say, traced_arm
from harness.job.arm import ArmId
from harness.job.asked import Drawn, TrainFreely
from harness.records.parity import FreeRun, Pair, Parity
from harness.referee import functions, oracle
from harness.spec.config import Spec
from harness.spec.data.arrays import (
    load_arrays,
    load_dataset,
    network_input,
    strip_prefix,
)
from harness.spec.files import scratch
from harness.statistics.intervals import tost

Arrays = Mapping[str, NDArray[Any]]
Ends = dict[tuple[ArmId, int], Arrays]
"""What trainings came to, by arm and seed."""
LOOKED_AT = (1, 2, 5, 10, 20, 50, 100, 200)  # updates of the first epoch, beside its end
HELD = (1, 10)  # those with a gate, beside the end: between them one flip of a unit decides
# Of the drift as far as that update; more where float32 alone drifts more.
CAPS = ((1, 1e-6), (10, 1e-5), (np.inf, 1e-4))
CHAOS = 1e-2  # of the float32 runs' own drift: from there on weights are not compared
N_FLOAT32 = 3
MARGIN_POINTS = 0.25  # of test accuracy: closer than this is the same


@dataclass(frozen=True, slots=True)
class Course:
    """The referee's kernels after a few updates, and how far float32 runs are from them by then."""

    kernels: dict[int, Arrays]
    envelope: dict[int, float]


def with_free_runs(
    parity: Parity, planned: Sequence[Planned], executor: Executor, say: Say
) -> Parity:
    """Train every arm for every seed; return the record with that, and the verdict that it leaves.

    Each run is held to the referee, and each two arms are compared as functions.

    Args:
        parity: the record so far.
        planned: one run for each arm and seed, all of one spec and dataset.
        executor: that does jobs.
        say: told what is being done.

    Raises:
        HarnessError: a backend's worker ended without its runs.
    """
    began, parts = time.monotonic(), load_dataset(planned[0].dataset)
    by_backend: dict[str, list[Planned]] = defaultdict(list)
    for each in planned:
        by_backend[each.request.arm.backend].append(each)
    ends: Ends = {}
    for mine in by_backend.values():
        ends |= _train(mine, executor, say)
    runs = tuple(_judge_runs(planned, ends, parts, say))
    pairs = tuple(_compare_pairs(planned[0].request.spec, ends, parts, say))
    total_s = parity.total_s + time.monotonic() - began
    return parity.extended(free_runs=runs, pairs=pairs, total_s=total_s)


def _judge_runs(
    planned: Sequence[Planned], ends: Ends, parts: Arrays, say: Say
) -> Iterator[FreeRun]:
    """Yield each run held to the referee, seed by seed."""
    for seed, any_of in {each.request.seed: each for each in planned}.items():
        say(f"referee, seed {seed}")
        course = _follow_referee(any_of, parts)
        for (arm, of_seed), end in ends.items():
            if of_seed == seed:
                accuracy = functions.accuracy(end["outputs"], np.asarray(parts["y_test"]))
                yield _judge_run(arm, seed, end, course, accuracy)


def _compare_pairs(spec: Spec, ends: Ends, parts: Arrays, say: Say) -> Iterator[Pair]:
    """Yield each two arms compared."""
    samples = network_input(parts["x_test"]), np.asarray(parts["y_test"])
    for one, other in itertools.combinations(dict.fromkeys(arm for arm, _ in ends), 2):
        say(f"{one.name} and {other.name}")
        both = {seed: (end, ends[other, seed]) for (arm, seed), end in ends.items() if arm == one}
        yield _compare_pair(spec, (one.name, other.name), both, samples)


def _updates(spec: Spec, n_train: int) -> list[int]:
    """Return the updates of the first epoch after which weights are read out, in rising order.

    The last is its end.
    """
    last = -(-n_train // spec.batch_size)
    return [*(number for number in LOOKED_AT if number < last), last]


def _train(mine: Sequence[Planned], executor: Executor, say: Say) -> Ends:
    """Return what one backend's worker hands back of its arms, by arm and seed."""
    request, first = mine[0].request, mine[0]
    arms = {each.request.arm: traced_arm(each) for each in mine}
    seeds = {each.request.seed: _drawn(each) for each in mine}
    with scratch() as folder:
        job = TrainFreely(
            **first.where() | {"time_limit_s": request.time_limit_s * len(mine)},
            spec=request.spec,
            arms={arm.arm: traced for arm, traced in arms.items()},
            dataset=first.training()["dataset"],
            seeds={str(seed): drawn for seed, drawn in seeds.items()},
            updates=tuple(_updates(request.spec, request.data.n_train)),
            folder=folder,
        )
        expect(perform(executor, job, say), "parity --full")
        return {
            (arm, seed): load_arrays(folder / f"{arm.arm}-{seed}.npz")
            for arm, seed in itertools.product(arms, seeds)
        }


def _drawn(planned: Planned) -> Drawn:
    files = planned.training()
    return Drawn(weights=files["weights"], order=files["order"])


def _follow_referee(planned: Planned, parts: Arrays) -> Course:
    """Return the referee's first epoch, and that of float32 runs.

    Their samples stand in another order inside their batches.
    """
    request, spec = planned.request, planned.request.spec
    updates = _updates(spec, request.data.n_train)
    weights, order = planned.drawn()
    exact = oracle.start(spec, weights)
    rounded = [oracle.in_float32(exact) for _ in range(N_FLOAT32)]
    random = np.random.default_rng([request.seed, 4])
    kernels: dict[int, Arrays] = {}
    envelope: dict[int, float] = {}
    for number in range(1, updates[-1] + 1):
        rows = order[0, (number - 1) * spec.batch_size : number * spec.batch_size]
        x, y = network_input(parts["x_train"][rows]), parts["y_train"][rows]
        exact, _ = oracle.step(spec, exact, x, y)
        for index in range(N_FLOAT32):
            there = random.permutation(len(rows)) if index else np.arange(len(rows))
            rounded[index], _ = oracle.step(spec, rounded[index], x[there], y[there])
        if number in updates:
            kernels[number] = {
                name: weight for name, weight in exact.weights.items() if name.endswith("/kernel")
            }
            envelope[number] = max(drift(kernels[number], each.weights) for each in rounded)
    return Course(kernels, envelope)


def drift(exact: Arrays, received: Arrays) -> float:
    """Return the relative Frobenius norm of the difference of the kernel that is farthest off."""
    return max(
        float(np.linalg.norm(received[name] - kernel) / np.linalg.norm(kernel))
        for name, kernel in exact.items()
    )


def _judge_run(arm: ArmId, seed: int, end: Arrays, course: Course, accuracy: float) -> FreeRun:
    """Return one run held to the referee's path."""
    found: dict[str, float] = {}
    limits: dict[str, float | None] = {}
    for number, kernels in course.kernels.items():
        cap = next(cap for last, cap in CAPS if number <= last)
        received = {key: end[f"at-{number}/{key}"].astype(np.float64) for key in kernels}
        found[str(number)] = drift(kernels, received)
        held = number in (*HELD, max(course.kernels)) and course.envelope[number] <= CHAOS
        limits[str(number)] = max(cap, 4 * course.envelope[number]) if held else None
    return FreeRun(
        **arm.fields,
        seed=seed,
        test_accuracy=accuracy,
        drift=dict(found),
        gates=limits,
    )


def _compare_pair(
    spec: Spec,
    names: tuple[str, str],
    ends: Mapping[int, tuple[Arrays, Arrays]],
    samples: tuple[NDArray[Any], NDArray[Any]],
) -> Pair:
    """Return two arms' trained models compared as functions, one entry a seed."""
    x, y = samples
    outputs = {seed: (a["outputs"], b["outputs"]) for seed, (a, b) in ends.items()}
    weights = {
        seed: tuple(strip_prefix("final", end) for end in both) for seed, both in ends.items()
    }
    points = tuple(
        100 * (functions.accuracy(a, y) - functions.accuracy(b, y)) for a, b in outputs.values()
    )
    equivalence = tost(points, MARGIN_POINTS)
    known = np.isfinite([equivalence.mean.low, equivalence.mean.high]).all()
    return Pair(
        one=names[0],
        other=names[1],
        seeds=tuple(ends),
        flips=tuple(functions.flips(a, b) for a, b in outputs.values()),
        n_d_class=tuple(
            int(np.count_nonzero(functions.d_class(a, b, y) >= functions.THRESHOLD))
            for a, b in outputs.values()
        ),
        d_mad=tuple(
            functions.d_mad(_probabilities(spec, a), _probabilities(spec, b), y)
            for a, b in outputs.values()
        ),
        barrier=tuple(functions.barrier(spec, a, b, x, y) for a, b in weights.values()),
        difference_points=points,
        interval_points=(equivalence.mean.low, equivalence.mean.high) if known else None,
        p=equivalence.p,
        verdict=equivalence.verdict,
    )


def _probabilities(spec: Spec, outputs: NDArray[Any]) -> NDArray[Any]:
    return outputs if spec.loss_form == "probs" else oracle.activate("softmax", outputs)
