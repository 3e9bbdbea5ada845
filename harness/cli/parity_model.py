"""`harness parity FILE[:FUNCTION]`: a user's own model on each backend.

Exit 0 where all agree, 1 where one departs or fails, 3 where nothing says who is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from harness.cli.options import parse_threads
from harness.cli.output import console_of, say, show
from harness.cli.project import hold_machine
from harness.errors import ConfigError, shown

MEANINGFUL = (  # options of `harness parity` that say something with --model
    *("model", "batch", "backends", "seed", "threads", "time_limit", "device", "no_wait"),
    *("json", "junit", "results", "config", "quick", "full"),
)
CODES = {"agrees": 0, "departs": 1, "failed": 1, "differ": 3, "undecided": 3}


def with_model(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `harness parity`, a model named among the backends as --model.

    Raises:
        ConfigError: several models are named.
    """
    names = given["backends"] or []
    files = [name for name in names if set("/:.") & set(name)]
    if not files:
        return dict(given)
    several = files + [given["model"]] * bool(given["model"])
    if len(several) > 1:
        received = ", ".join(map(shown, several))
        raise ConfigError(f"--model: expected one model; received {received}")
    rest = [name for name in names if name not in files]
    return {**given, "model": files[0], "backends": rest}


def check_model(given: Mapping[str, Any]) -> None:
    """Check the model, show what came of it, and exit with what that means.

    Args:
        given: every argument of `harness parity`, by name.
    """
    from harness.engine.executor import make_executor
    from harness.experiments.parity import model_document as report
    from harness.experiments.parity import model_plan
    from harness.experiments.parity.model_check import check
    from harness.records import store
    from harness.report.progress import steps_line

    _check_options(given)
    what = model_plan.plan_model_check(
        given["model"],
        given["batch"],
        tuple(given["backends"] or ()),
        given["config"],
        seed=given["seed"][0] if given["seed"] else 0,
        device=given["device"],
        threads=parse_threads(given["threads"]),
        time_limit_s=given["time_limit"],
        updates=(0,) if given["quick"] else model_plan.UPDATES if given["full"] else (),
    )
    results, wait = given["results"] or _results_folder(what.root, given), not given["no_wait"]
    store.ready(results, "models")
    with hold_machine("parity --model", wait=wait), steps_line(console_of()) as report_step:
        found = check(what, make_executor(what.root, what.backends), report_step)
    file = store.add(results, found)
    show(report.compose(found), {name: given[name] for name in ("json", "junit")})
    say(f"record: {file}", "dim")
    if CODES[found.verdict]:
        raise typer.Exit(CODES[found.verdict])


def _results_folder(root: Path, given: Mapping[str, Any]) -> Path:
    """Return where the record goes: beside the backends.toml that was found, or else here."""
    here = Path.cwd()
    found = given["config"] or root in (here, *here.parents)
    return (root if found else here) / "results"


def _check_options(given: Mapping[str, Any]) -> None:
    """Raise ConfigError where an option has no meaning with --model, or one is missing."""
    for name, value in given.items():
        if value and name not in MEANINGFUL:
            why = "has no meaning with --model, whose file says what is compared"
            raise ConfigError(f"--{name.replace('_', '-')}: {why}. Leave it out")
    if not given["model"]:
        raise ConfigError(
            "--batch: expected --model FILE:FUNCTION beside it, the model that it is for"
        )
    seeds = given["seed"] or ()
    if len(seeds) > 1:
        received = ", ".join(map(str, seeds))
        raise ConfigError(f"--seed: expected one with --model; received {received}")
