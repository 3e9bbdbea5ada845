"""How long cells that are not measured may take, and who may win there: a model of the cost.

An epoch of a stack of Dense layers is o batches + k batches layers + F / R + b P / W: calls,
products and the optimizer's traffic. Fitted to the cells that are known, it is never a verdict.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.experiments.bench.paired import valid_turns
from harness.experiments.sweep.attempts import Found
from harness.experiments.sweep.plan import Cell, SweepPlan
from harness.records.bench import Bench
from harness.spec.config import Spec
from harness.spec.model import own_model
from harness.spec.stack import n_layers, n_parameters, optimizer_bytes, training_flops
from harness.spec.sweeps import Values
from harness.statistics.cost import fit_weights, relative_error
from harness.statistics.intervals import Floats

Guess = tuple[Values, str]
"""What is said of a cell in place of a verdict."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is known of a sweep's cells, and what may be expected of the others."""

    done: dict[str, str]  # the session that counts, by the cell's id
    attempts: dict[str, int]  # incomplete ones
    seconds: dict[str, float]  # that each cell took, or may take
    epoch_s: dict[str, dict[str, float]] = field(default_factory=dict)  # of cells to do, by arm
    error: float | None = None  # median relative error of the model on cells left out of its fit


def forecast(plan: SweepPlan, found: Found) -> Forecast:
    """Return what is known and expected of a sweep's cells."""
    benches = {cell.id: each[0] for cell in plan.cells if (each := found.complete(cell.id))}
    attempts = {cell: len(each) for cell, each in found.attempts.items() if cell not in benches}
    done = {cell: bench.session.run_id for cell, bench in benches.items()}
    took = {cell: _total_s(bench) for cell, bench in benches.items()}
    left = [cell for cell in plan.cells if cell.id not in benches]
    expected, error = _expected_epochs(*_on_one_device(left, benches.values()))
    seconds = took | _expected_s(plan, left, list(benches.values()), expected)
    return Forecast(done, attempts, seconds, expected, error)


def _on_one_device(
    left: Iterable[Cell], benches: Iterable[Bench]
) -> tuple[list[Cell], list[Bench]]:
    """Return cells to do and sessions of one device: the model knows no other ones."""
    return (
        [cell for cell in left if cell.replicas == 1],
        [bench for bench in benches if bench.session.replicas == 1],
    )


def _expected_s(
    plan: SweepPlan,
    left: Sequence[Cell],
    benches: Sequence[Bench],
    epochs: Mapping[str, Mapping[str, float]],
) -> dict[str, float]:
    """Return how long each cell that is left may take; nothing where none is known."""
    if not benches:
        return {}
    usual_s = statistics.median(map(_total_s, benches))
    fixed_s, n_turns = _fixed_s(benches), plan.sweep.generations * plan.sweep.blocks
    return {
        cell.id: fixed_s + n_turns * sum(epochs[cell.id].values())
        if epochs.get(cell.id)
        else usual_s
        for cell in left
    }


def _total_s(bench: Bench) -> float:
    return sum(sitting.total_s for sitting in bench.sittings)


def guesses(plan: SweepPlan, known: Forecast, firsts: Mapping[str, str]) -> list[Guess]:
    """Return what is said in place of a verdict of each cell that is not measured.

    Args:
        plan: the sweep.
        known: what is expected of its cells.
        firsts: the arm that screening found first, by the values of the cell as text.
    """
    found = []
    for cell in plan.cells:
        epochs, first = known.epoch_s.get(cell.id, {}), firsts.get(cell.name)
        if cell.id in known.done:
            continue
        if first:
            found.append((cell.values, f"screened: {first}"))
        elif epochs:
            fastest = min(epochs, key=lambda name: epochs[name])
            found.append((cell.values, f"predicted: {fastest}"))
    return found


def _fixed_s(benches: Sequence[Bench]) -> float:
    """Return the median seconds of a session that are no turns."""
    rest = [
        _total_s(bench)
        - sum(turn.seconds for block in bench.blocks for turn in block.turns.values())
        for bench in benches
    ]
    return max(0.0, statistics.median(rest)) if rest else 0.0


def parts_of(spec: Spec, n_inputs: int, n_train: int) -> list[float]:
    """Return how much of each part of the cost an epoch has.

    Args:
        spec: a stack of Dense layers.
        n_inputs: features of a sample.
        n_train: samples of an epoch.
    """
    n_updates = -(-n_train // spec.batch_size)
    products = training_flops(spec, n_inputs) * n_train
    traffic = optimizer_bytes(spec, n_inputs, n_train)
    return [n_updates, n_updates * n_layers(spec), products, traffic]


def n_weights(spec: Spec, n_inputs: int) -> int | None:
    """Return the number of a stack's weights; None of a model of the user's own."""
    return None if own_model(spec) else n_parameters(spec, n_inputs)


def _expected_epochs(
    left: Sequence[Cell], benches: Sequence[Bench]
) -> tuple[dict[str, dict[str, float]], float | None]:
    """Return the expected seconds of each entrant's epoch in each cell, and the model's error."""
    if not benches or own_model(benches[0].session.spec):
        return {}, None
    data = benches[0].session.data
    sizes = data.n_inputs, data.n_train
    wanted = np.array([parts_of(cell.spec, *sizes) for cell in left], np.float64).reshape(-1, 4)
    found: dict[str, dict[str, float]] = {cell.id: {} for cell in left}
    errors = []
    for entrant in benches[0].session.entrants:
        parts, seconds = _known_epochs(benches, entrant.name)
        weights = fit_weights(parts, seconds)
        if weights is None:
            return {}, None
        if (error := relative_error(parts, seconds)) is not None:
            errors.append(error)
        for cell, expected_s in zip(left, wanted @ weights, strict=True):
            found[cell.id][entrant.name] = float(expected_s)
    return found, statistics.median(errors) if errors else None


def _known_epochs(benches: Sequence[Bench], name: str) -> tuple[Floats, Floats]:
    """Return the parts, (n, 4), and the seconds, (n,), of an entrant's epochs in known cells."""
    rows, seconds = [], []
    for bench in benches:
        steady = valid_turns(bench).steady_s(name)
        if steady:
            data = bench.session.data
            rows.append(parts_of(bench.session.spec, data.n_inputs, data.n_train))
            seconds.append(statistics.median(steady.values()))
    return np.array(rows, np.float64).reshape(-1, 4), np.array(seconds)
