"""Sessions simulated by the thousand. Demanded: identical arms called different in 1 of 20 at most, a planted 5 % found in 19."""

import math

import numpy as np
import pytest

from harness.judge.bench import standing
from harness.judge.effect import over_generations
from harness.judge.paired import counted
from harness.judge.simulation import Noise, error_rates, resampled, simulated
from tests.unit.benches import BASE, bench

JAX, AGAIN = "jax/keras", f"{BASE} again"
N = 2000
SLACK = 3 * math.sqrt(0.05 * 0.95 / N)  # three standard errors of a simulated rate of 1 in 20
NOISES = {
    "calm": Noise(process=0.015, turn=0.05),
    "as measured": Noise(process=0.015, turn=0.085),  # sd of ln ratio 0.12: the 2-core machine of timing.md
    "loud": Noise(process=0.015, turn=0.12),
    "heavy tails": Noise(process=0.015, turn=0.085, freedom=3),
    "drift": Noise(process=0.015, turn=0.05, drift=0.10),
    "bursts": Noise(process=0.015, turn=0.05, bursts=0.10),
}


def rates(noise, slowdown=1.0, n_generations=10, n_blocks=10, seed=21):
    random = np.random.default_rng(seed)
    return simulated(noise, random, n_sessions=N, n_generations=n_generations, n_blocks=n_blocks, slowdown=slowdown)


@pytest.mark.parametrize("n_generations", [6, 8, 10])
@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_the_interval_holds_the_truth_as_often_as_it_says_and_identical_arms_are_seldom_called_different(noise, n_generations):
    found, coverage = rates(noise, n_generations=n_generations)
    assert coverage >= 0.95 - SLACK
    assert found.different <= 0.05


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_a_planted_slowdown_is_never_called_faster_or_the_same(noise):
    found, coverage = rates(noise, slowdown=1.05)
    assert found.shares["faster"] == 0.0
    assert found.shares["same"] <= 0.01
    assert coverage >= 0.95 - SLACK


@pytest.mark.parametrize(
    ("noise", "n_generations", "n_blocks"),
    [("calm", 10, 10), ("as measured", 10, 30), ("heavy tails", 10, 20), ("drift", 10, 30), ("bursts", 10, 20)],
)
def test_with_so_many_blocks_a_planted_slowdown_of_5_percent_is_found(noise, n_generations, n_blocks):
    found, _ = rates(NOISES[noise], 1.05, n_generations, n_blocks)
    assert found.shares["slower"] >= 0.95


def test_blocks_instead_of_generations_would_hold_the_truth_far_too_seldom():
    # The planted defect: what two processes keep from start to end is taken for forty independent differences.
    random = np.random.default_rng(2)
    turns = NOISES["calm"].draw(random, (200, 1, 40, 2))
    held = [not over_generations((each[0, :, 1] - each[0, :, 0]).tolist()).excludes(1.0) for each in turns]
    assert np.mean(held) < 0.80


# From a recorded session

RECORDED = bench({BASE: 1.0, JAX: 0.5, AGAIN: 1.0}, process=0.015, noise=0.03, draw=5, n_generations=10, n_blocks=8)
BIASED = bench({BASE: 1.0, JAX: 0.5, AGAIN: 1.03}, process=0.015, noise=0.03, draw=5, n_generations=10, n_blocks=8)


def test_identical_arms_of_a_recorded_session_are_seldom_called_different_and_a_planted_slowdown_is_found():
    random = np.random.default_rng(7)
    assert error_rates(RECORDED, random, n_sessions=300).different <= 0.05
    planted = error_rates(RECORDED, random, n_sessions=300, slowdown=1.05)
    assert planted.shares["slower"] >= 0.95
    assert planted.shares["faster"] == 0.0


def test_a_pair_that_differed_when_it_was_recorded_differs_by_nothing_when_it_is_resampled():
    random = np.random.default_rng(8)
    logs = [log for _ in range(150) for log in counted(resampled(BIASED, random)).log_ratios(AGAIN, BASE).values()]
    assert np.mean(list(counted(BIASED).log_ratios(AGAIN, BASE).values())) > 0.02
    assert abs(np.mean(logs)) < 3 * np.std(logs) / math.sqrt(len(logs))
    assert error_rates(BIASED, random, n_sessions=200).different <= 0.05


def test_resampling_keeps_blocks_whole_and_plants_exactly_what_it_is_told():
    # A block's turns share a factor that is its own: were they parted, ratios would no longer be these.
    made = bench(
        dict.fromkeys((BASE, JAX, AGAIN), 1.0),
        seconds=lambda name, generation, number: 10.0 ** (generation + number / 7) * (0.5 if name == JAX else 1.0),
        n_generations=6,
    )
    again = resampled(made, np.random.default_rng(9), {JAX: 1.05})
    ratios = {round(each.turns[JAX].seconds / each.turns[BASE].seconds, 9) for each in again.blocks}
    assert ratios == {0.525}
    assert {(each.generation, each.block) for each in again.blocks} == {(g, b) for g in range(1, 7) for b in range(1, 5)}
    assert len({each.turns[BASE].seconds for each in again.blocks}) < len(made.blocks)  # with replacement
    assert next(arm for arm in standing(again).arms if arm.name == JAX).ratio.mid == pytest.approx(0.525)


def test_only_generations_that_count_are_drawn_and_more_can_be_asked_for():
    spoilt = [each.model_copy(update={"invalid": "load"}) if each.generation > 7 and each.block > 2 else each for each in RECORDED.blocks]
    part = RECORDED.model_copy(update={"blocks": tuple(spoilt)})
    assert len(counted(resampled(part, np.random.default_rng(1))).turns) == 7
    assert len(counted(resampled(part, np.random.default_rng(1), n_generations=20)).turns) == 20
    assert not any(each.invalid for each in resampled(part, np.random.default_rng(1)).blocks)


def test_invalid_turns_are_never_drawn():
    spoilt = [each.model_copy(update={"invalid": "load"}) if each.block > 6 else each for each in RECORDED.blocks]
    part = RECORDED.model_copy(update={"blocks": tuple(spoilt)})
    wrong = {each.turns[BASE].seconds for each in spoilt if each.invalid}
    assert not wrong & {each.turns[BASE].seconds for _ in range(5) for each in resampled(part, np.random.default_rng(1)).blocks}


def test_the_same_seed_gives_the_same_rates():
    assert error_rates(RECORDED, np.random.default_rng(3), n_sessions=20) == error_rates(RECORDED, np.random.default_rng(3), n_sessions=20)
