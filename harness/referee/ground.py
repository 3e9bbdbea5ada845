"""What every arm is held to.

Points, the referee's updates from them, and what rounding alone does there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.referee import epoch, fixtures, gates
from harness.referee.epoch import Epoch, Read
from harness.referee.fixtures import Point, Twin
from harness.referee.gates import Quantities
from harness.referee.loop import N_LOOP, Course, course
from harness.referee.oracle import UNIT, Loss
from harness.referee.scope import EPOCH, Scope, gate_of, update_of
from harness.referee.step import Step, trace_step
from harness.spec.config import Spec
from harness.spec.data.arrays import network_input

N_TWINS = 8  # that real backends compute
N_TWINS_QUICK = 2  # in the quick form
N_FLOOR = 16  # that the float32 referee computes
TWINNED = ("init", "adversarial")  # points whose twins real backends compute too


@dataclass(frozen=True, slots=True)
class Ground:
    """What every arm is held to.

    Points, the referee's updates from them, and what rounding alone does there.
    """

    spec: Spec
    points: dict[str, Point]
    twins: dict[str, list[Twin]]
    loops: dict[str, list[tuple[NDArray[np.float32], NDArray[np.int64]]]]
    courses: dict[tuple[str, Loss], Course]
    steps: dict[tuple[str, Loss], Step]
    floors: dict[tuple[str, Loss], dict[tuple[str, str], float]]
    epochs: dict[Loss, Epoch]  # the whole first one; empty where it is not looked at
    scope: Scope  # what all this is of the gate


def ground(
    spec: Spec,
    weights: Mapping[str, NDArray[np.float32]],
    order: NDArray[np.int32],
    parts: Mapping[str, Any],
    losses: set[Loss],
    only: tuple[str, ...] = (),
) -> Ground:
    """Train the referee through the points and work out its updates and floors there.

    Args:
        spec: what is trained.
        weights: initial ones.
        order: of the samples, (epochs, n).
        parts: the dataset's four arrays.
        losses: forms of cross-entropy that some arm is documented to compute.
        only: names of points; all where empty.
    """
    n_updates = -(-order.shape[1] // spec.batch_size)
    gate = gate_of(n_updates, len(order))
    wanted = only or gate.every
    read = partial(_read, parts)
    points = _points(spec, weights, partial(_batches, spec, order, read), wanted)
    first = partial(epoch.follow, spec, points["init"], read, order[0], epoch.stops_of(n_updates))
    epochs = first(losses) if EPOCH in wanted else {}
    points = {name: point for name, point in points.items() if name in wanted}
    loops = {"init": _loop(spec, order, parts)} if "init" in wanted else {}
    courses = {
        (name, loss): course(spec, points[name], loops[name], loss)
        for name, loss in product(loops, losses)
    }
    twins = {name: fixtures.twins(spec, point, N_FLOOR) for name, point in points.items()}
    steps, floors = _steps(spec, points, twins, losses)
    scope = gate.scope(only)
    some = _some_twins(twins, N_TWINS_QUICK if scope == "quick" else N_TWINS)
    return Ground(spec, points, some, loops, courses, steps, floors, epochs, scope)


def _some_twins(twins: Mapping[str, list[Twin]], n: int) -> dict[str, list[Twin]]:
    """Return the first n twins of each point that real backends compute too."""
    return {name: twins[name][:n] for name in TWINNED if name in twins}


def _batches(
    spec: Spec, order: NDArray[np.int32], read: Read
) -> Iterator[tuple[NDArray[np.float32], NDArray[Any]]]:
    """Yield x (B, inputs) and y (B,) of each update of a training in turn."""
    for samples in order:
        for begin in range(0, len(samples), spec.batch_size):
            yield read(samples[begin : begin + spec.batch_size])


def _read(
    parts: Mapping[str, Any], rows: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return x (B, inputs) and y (B,) of samples by their numbers, (B,)."""
    return network_input(parts["x_train"][rows]), parts["y_train"][rows]


def _steps(
    spec: Spec,
    points: Mapping[str, Point],
    twins: Mapping[str, list[Twin]],
    losses: set[Loss],
) -> tuple[dict[tuple[str, Loss], Step], dict[tuple[str, Loss], dict[tuple[str, str], float]]]:
    """Return the referee's update from each point for each form of the loss, and its floors.

    Points are done side by side, a thread each: NumPy's products let other threads run.
    """

    def follow(case: tuple[str, Loss]) -> tuple[Step, dict[tuple[str, str], float]]:
        name, loss = case
        point = points[name]
        step = trace_step(spec, point.trained(), point.x, point.y, loss)
        rounded = _float32(spec, point, twins[name], loss)
        return step, gates.floors_of(spec, step.quantities, rounded, step.slack)

    cases = list(product(points, losses))
    with ThreadPoolExecutor() as pool:
        found = dict(zip(cases, pool.map(follow, cases), strict=True))
    steps = {case: step for case, (step, _) in found.items()}
    return steps, {case: floors for case, (_, floors) in found.items()}


def _loop(
    spec: Spec, order: NDArray[np.int32], parts: Mapping[str, Any]
) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Return two short epochs of the same samples, the second in reverse order."""
    rows = order[0][: int(N_LOOP * spec.batch_size)]
    return [_epoch(spec, parts, rows), _epoch(spec, parts, rows[::-1])]


def _points(
    spec: Spec,
    weights: Mapping[str, NDArray[np.float32]],
    batches: Callable[[], Iterator[tuple[NDArray[np.float32], NDArray[Any]]]],
    wanted: tuple[str, ...],
) -> dict[str, Point]:
    """Return the points of those names, and the first two whether they are wanted or not."""
    updates = [1, *(number for number in map(update_of, wanted) if number > 1)]
    along = {
        point.name: point for point, _ in fixtures.along_training(spec, weights, batches(), updates)
    }
    hard = fixtures.adversarial(spec, weights, *next(batches()))
    return {"init": along["init"], "adversarial": hard, **along}


def _epoch(
    spec: Spec, parts: Mapping[str, Any], rows: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return an epoch's samples, its short last batch under wrong labels.

    An average over batches then is not that over samples.
    """
    y, short = (
        parts["y_train"][rows].astype(np.int64),
        len(rows) // spec.batch_size * spec.batch_size,
    )
    y[short:] = (y[short:] + 1) % spec.layers[-1].units
    return network_input(parts["x_train"][rows]), y


def _float32(spec: Spec, point: Point, twins: Iterable[Twin], loss: Loss) -> list[Quantities]:
    """Return the update as ordinary float32 implementations make it, and as permutation twins do.

    Of the former there are three: one whose softmax is exact to rounding, and two whose
    probabilities are all a unit in the last place too large, or too small. Once samples are learnt,
    p - 1 is little more than that, and it does not average out.
    """
    plain = point.trained(np.float32)
    found: list[Quantities] = [
        trace_step(spec, plain, point.x, point.y, loss, kinks=False, softmax_error=off).quantities
        for off in (0, 2 * UNIT, -2 * UNIT)
    ]
    for number, twin in enumerate(twins):
        permuted = twin.of(point, number)
        found.append(
            twin.undone(
                trace_step(
                    spec, permuted.trained(np.float32), permuted.x, permuted.y, loss, kinks=False
                ).quantities
            )
        )
    return found
