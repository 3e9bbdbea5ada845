"""For another project's tests: do the backends compute the same model?

    from harness.testing import assert_backends_agree

    def test_my_layer_is_the_same_layer_everywhere():
        assert_backends_agree("my_model.py:build", backends=("jax", "torch", "tensorflow"))

The test itself needs no framework: the model runs in the backends' own environments, which
`harness setup` makes. It runs twice there: in its own dtype, and in float64, which judges. Where
the three are there, one that is wrong is named; two can only be told to differ. With pytest the
fixture `backends_agree` does the same (`harness.pytest_plugin`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.experiments.parity.model_check import check
from harness.experiments.parity.model_document import sentences
from harness.experiments.parity.model_plan import check_environments, plan_model_check
from harness.records.user_model import ModelParity
from harness.spec.arm_source import check_arm

__all__ = ["ModelParity", "assert_backends_agree", "check_arm", "check_environments"]


def assert_backends_agree(
    model: str,
    batch: str | None = None,
    backends: Iterable[str] = (),
    config: str | Path | None = None,
    *,
    seed: int = 0,
    updates: Sequence[int] = (),
    time_limit_s: float | None = None,
) -> ModelParity:
    """Return the record of the check, if every backend computes what the others do.

    Args:
        model: "FILE:FUNCTION"; the function takes no argument and returns a compiled keras.Model.
        batch: "FILE:FUNCTION"; it returns (x, y), NumPy arrays, or tuples or dicts of them. None:
            drawn from the seed.
        backends: two or more of those in backends.toml; all that have Keras where empty.
        config: a backends.toml; by default the nearest from here upwards, or the harness's own.
        seed: of the weights and the batch that all begin from, and of what layers draw.
        updates: after how many of them the model is compared, rising from 0; where none are named
            0, 1, 10 and 100, and of a model of more than 100 layers 10.
        time_limit_s: for each of a backend's two processes.

    Raises:
        AssertionError: a backend departs, fails, or nothing tells which one does; says where first,
            and by how much.
        harness.errors.HarnessError: there is nothing to check: no such file or function, no
        compiled model, one backend.
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    chosen = (backends,) if isinstance(backends, str) else tuple(backends)
    file = Path(config) if config else None
    what = plan_model_check(
        model, batch, chosen, file, seed=seed, time_limit_s=time_limit_s, updates=tuple(updates)
    )
    parity = check(what)
    if parity.verdict != "agrees":
        remarks = (f"! {remark}" for remark in parity.remarks)
        raise AssertionError("\n".join((*sentences(parity), *remarks)))
    return parity
