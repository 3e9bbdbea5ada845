"""The gate: the same updates by every arm and by the referee -> one record of who agrees."""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from harness.engine.executor import Executor
from harness.engine.plan import Planned
from harness.engine.replicas import check_batches
from harness.errors import ConfigError, choice
from harness.experiments.parity.gather import ArmAnswer, Say, documented_loss, gather_traces
from harness.experiments.parity.judge import is_referee_suspect, judge_arm, measure_noise
from harness.experiments.parity.narrow import name_update
from harness.experiments.parity.several import batch_sizes
from harness.records.observation import identify
from harness.records.parity import Parity
from harness.referee import differences
from harness.referee.ground import Ground, ground
from harness.referee.scope import Gate, gate_of
from harness.spec.data.arrays import load_dataset


def check(
    planned: tuple[Planned, ...],
    executor: Executor,
    only: tuple[str, ...] = (),
    say: Say = lambda what: None,
) -> Parity:
    """Hold arms to the referee, update by update, and return the record of it.

    The referee's products run on one thread each. They are small, and threads that wait for one
    another by spinning took five times as long on a machine that did something else as well.

    Args:
        planned: one run for each arm, all of one spec, seed and dataset.
        executor: that does jobs.
        only: names of points; all where empty.
        say: told what is being done.

    Raises:
        ConfigError: there is nothing to compare, or the spec has no equal inputs.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        return _check(planned, executor, only, say)


def _check(
    planned: tuple[Planned, ...], executor: Executor, only: tuple[str, ...], say: Say
) -> Parity:
    _check_asked(planned, only)
    weights, order = planned[0].drawn()
    request, spec = planned[0].request, planned[0].request.spec
    started, began = datetime.now(UTC), time.monotonic()
    losses = set(map(documented_loss, planned))
    say("referee")
    reference = ground(spec, weights, order, load_dataset(planned[0].dataset), losses, only)
    arms = {each.request.arm.name: each for each in planned}
    answers = _ask_backends(planned, reference, executor, say)
    noise, twins = measure_noise(reference, answers, arms)
    verdicts = {name: judge_arm(reference, answers[name], arms[name], noise) for name in arms}
    suspected = is_referee_suspect(answers, verdicts)
    if not suspected:
        verdicts = {
            name: name_update(each, arms[name], reference, executor, say)
            for name, each in verdicts.items()
        }
    return Parity(
        **identify(started, "parity", request.spec_name, f"s{request.seed}"),
        **_asked(planned[0]),
        host=next(each.host for each in answers.values() if each.host),
        total_s=time.monotonic() - began,
        suspected=suspected,
        arms=tuple(verdicts.values()),
        documented=tuple(_describe_documented(reference, answers, arms)),
        floors=dict(largest_floors(reference, noise)),
        twins={name: dict(mine) for name, mine in twins.items()},
    )


def _asked(planned: Planned) -> dict[str, Any]:
    """Return the fields of the record that are the request's own."""
    fields = ("spec_name", "spec", "seed", "data", "device", "threads", "replicas")
    return {name: getattr(planned.request, name) for name in fields}


def _ask_backends(
    planned: tuple[Planned, ...], reference: Ground, executor: Executor, say: Say
) -> dict[str, ArmAnswer]:
    """Return what each backend's worker hands back, by arm."""
    by_backend: dict[str, list[Planned]] = defaultdict(list)
    for each in planned:
        by_backend[each.request.arm.backend].append(each)
    answers: dict[str, ArmAnswer] = {}
    for mine in by_backend.values():
        answers |= gather_traces(mine, reference, executor, say)
    return answers


def _check_asked(planned: tuple[Planned, ...], only: tuple[str, ...]) -> None:
    """Raise ConfigError where there is nothing to compare, or not at those points."""
    if not planned:
        raise ConfigError("parity: no arm to check. `harness train --help` says how arms are named")
    every = gate_of_plan(planned[0]).every
    for name in only:
        if name not in every:
            raise ConfigError(f"--point: {choice(every, name)}")
    check_batches(planned[0].request.replicas, batch_sizes(planned[0].request.spec))
    for each in planned:
        if only and "init" not in only and differences.has_own_slots(each.request.options):
            name = each.request.arm.name
            raise ConfigError(
                f"--point: {name} has its framework's own optimizer, whose memory cannot be set, "
                "and is checked at its first update "
                f"only; received {', '.join(only)}. Add --point init, or leave out the arm"
            )


def quick_points(planned: tuple[Planned, ...]) -> tuple[str, ...]:
    """Return the names of the points of the quick form of the gate, for `check`."""
    return gate_of_plan(planned[0]).quick if planned else ()


def gate_of_plan(planned: Planned) -> Gate:
    """Return the points of the gate of a planned training."""
    request = planned.request
    return gate_of(-(-request.data.n_train // request.spec.batch_size), request.epochs)


def largest_floors(reference: Ground, noise: dict[tuple[str, str, str], float]) -> dict[str, float]:
    """Return the noise floor of each quantity and measure.

    The largest over points, of the float32 twins and the real backends.
    """
    largest: dict[str, float] = {}
    for (point, _), of_point in reference.floors.items():
        for (quantity, measure), floor in of_point.items():
            key = f"{quantity} {measure}"
            largest[key] = max(
                largest.get(key, 0.0), floor, noise.get((point, quantity, measure), 0.0)
            )
    return largest


def _describe_documented(
    reference: Ground, answers: dict[str, ArmAnswer], arms: dict[str, Planned]
) -> list[str]:
    """Return a sentence for each difference that is expected, with the figures that show it."""
    probs, unclipped = (
        reference.steps.get(("adversarial", loss)) for loss in ("probs", "unclipped")
    )
    if not (probs and unclipped) or any(arm.request.replicas > 1 for arm in arms.values()):
        return []  # on several devices nothing is laid open
    losses = unclipped.quantities["losses"]
    row = int(np.argmax(np.abs(probs.quantities["losses"] - losses)))
    through = [name for name, arm in arms.items() if documented_loss(arm) == "unclipped"]
    seen = {name: _laid_open(answers[name], "adversarial", "losses") for name in arms}
    figures = (f"{name} {each[row]:.4f}" for name, each in seen.items() if each is not None)
    return [
        f"loss from probabilities: {', '.join(through)} look through the softmax to the logits "
        f"and never clip. A wrong sample with a logit gap of {losses[row]:.0f} has the loss "
        f"{', '.join(figures)}. "
        'A spec with loss_form = "logits" has no such difference'
    ]


def _laid_open(answer: ArmAnswer, point: str, quantity: str) -> NDArray[Any] | None:
    """Return a quantity of an arm's update from a point, where a program lays it open."""
    place = "instrumented", point
    traces = [each for each in answer.traces if (each.program, each.point) == place]
    return traces[-1].quantities.get(quantity) if traces else None
