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

from harness.engine.executor import make_executor
from harness.engine.launch import check_interpreters
from harness.errors import ConfigError
from harness.experiments.parity import model_plan
from harness.experiments.parity.model_check import check
from harness.experiments.parity.model_document import sentences
from harness.records.user_model import ModelParity
from harness.spec.arm_source import file_of, find_faults
from harness.spec.own_arms import choose_several
from harness.spec.project import open_project


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
    what = model_plan.plan_model_check(
        model, batch, chosen, file, seed=seed, time_limit_s=time_limit_s, updates=tuple(updates)
    )
    parity = check(what, make_executor(what.root, what.backends))
    if parity.verdict != "agrees":
        remarks = (f"! {remark}" for remark in parity.remarks)
        raise AssertionError("\n".join((*sentences(parity), *remarks)))
    return parity


def check_arm(module: str | Path, folder: str | Path = ".") -> None:
    """Return if a module is an arm: every verb is there, with its arguments.

    Its source is read, and none of it is run, so no framework is needed.

    Args:
        module: its file, or its name as backends.toml has it.
        folder: that of backends.toml.

    Raises:
        AssertionError: a verb is missing or has other arguments; a line for each.
        harness.errors.ConfigError: there is no such file.
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    file = file_of(str(module), Path(folder))
    if not file.is_file():
        raise ConfigError(f"{module}: no such file in {Path(folder).absolute()}")
    if faults := find_faults(file):
        raise AssertionError("\n".join(f"{module}: {fault}" for fault in faults))


def check_environments(backends: Iterable[str] = (), config: str | Path | None = None) -> None:
    """Return if each of these backends has an environment.

    Args:
        backends: by name; all that have Keras where empty.
        config: a backends.toml; by default the nearest one from here upwards.

    Raises:
        harness.errors.HarnessError: one has none, or there is no such backend; says what to type.
    """
    root, known = open_project(Path(config) if config else None)
    check_interpreters(choose_several(known.backends, backends), root)
