"""What the gates are made from: which noise counts, and how far."""

import numpy as np

from harness.experiments.parity.gather import ArmAnswer
from harness.experiments.parity.judge import measure_noise
from harness.referee import gates, oracle
from harness.referee.fixtures import of_state
from harness.referee.ground import _float32
from harness.referee.trace import expected_quantities
from tests.parity.small import SPECS, handed_back, planned, reference

QUANTITY = "gradient/hidden/kernel"


def noise(factor):
    """What counts as noise where each twin of a backend is that many parts of itself off its
    unpermuted update.
    """
    trace = next(
        each
        for each in handed_back().traces
        if (each.program, each.point) == ("production", "init")
    )
    heard = ArmAnswer([trace])
    heard.twins["production", "init"].append(
        {name: value * (1 + factor) for name, value in trace.quantities.items()}
    )
    return measure_noise(reference(), {"jax/keras": heard}, {"jax/keras": planned()})


def test_noise_of_a_backend_s_twins_counts_and_is_kept():
    largest, by_arm = noise(1e-6)
    assert 0.9e-6 < largest["init", QUANTITY, "relative"] < 1.1e-6
    assert by_arm["jax/keras"][f"{QUANTITY} relative"] == largest["init", QUANTITY, "relative"]


def test_noise_beyond_a_cap_is_a_defect_and_no_floor_though_it_is_kept():
    largest, by_arm = noise(1e-3)
    assert ("init", QUANTITY, "relative") not in largest
    assert by_arm["jax/keras"][f"{QUANTITY} relative"] > 0.9e-3


def test_a_scale_that_is_near_none_by_luck_is_held_to_what_rounding_does_to_the_whole():
    spec, step = SPECS["probs"], reference().steps["init", "probs"]
    quantities = next(
        each
        for each in handed_back().traces
        if (each.program, each.point) == ("instrumented", "init")
    ).quantities
    floors = {(QUANTITY, "relative"): 1e-4, (QUANTITY, "scale"): 1e-12}
    found = gates.examine(spec, step, quantities, floors, expected_quantities(spec, "instrumented"))
    (gate,) = (each.gate for each in found if (each.quantity, each.measure) == (QUANTITY, "scale"))
    assert gate == 1e-4


def test_probabilities_a_unit_off_show_where_every_sample_is_learnt():
    """Then p - 1 is little more than that unit, and sums in another order show nothing of it."""
    spec = SPECS["logits"]
    kernel = 20 * np.eye(8, 10, dtype=np.float32)
    weights = {
        "hidden/kernel": np.eye(16, 8, dtype=np.float32),
        "hidden/bias": np.zeros(8, np.float32),
    }
    weights |= {"output/kernel": kernel, "output/bias": np.zeros(10, np.float32)}
    y = np.arange(32) % 8
    point = of_state(
        spec, "learnt", oracle.start(spec, weights), np.eye(16, dtype=np.float32)[y], y
    )
    exact, *others = (
        each["gradient/output/kernel"] for each in _float32(spec, point, [], "logits")
    )
    assert len(others) == 2
    assert all(np.linalg.norm(other - exact) > 0.5 * np.linalg.norm(exact) for other in others)
