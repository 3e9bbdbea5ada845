"""`harness parity --model FILE:FUNCTION`: a user's own model, held to what the other backends make of it.

Exit 0 where all agree, 1 where one departs or fails, 3 where no majority says who is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from harness.cli.options import alone_on_machine, console_of, threads_of, written
from harness.errors import ConfigError

MINE = (
    "model",
    "batch",
    "backends",
    "seed",
    "threads",
    "time_limit",
    "device",
    "no_wait",
    "json",
    "junit",
    "config",
)
CODES = {"agrees": 0, "departs": 1, "failed": 1, "no majority": 3}


def checked(given: Mapping[str, Any]) -> None:
    """Check the model, show what came of it, and exit with what that means.

    Args:
        given: every argument of `harness parity`, by name; those that say what else to compare have no meaning here.
    """
    from harness.experiments.parity import model_document as report
    from harness.experiments.parity import model_plan
    from harness.experiments.parity.model_check import check
    from harness.report.progress import steps_line

    for name, value in given.items():
        if value and name not in MINE:
            raise ConfigError(
                f"--{name.replace('_', '-')}: has no meaning with --model, whose file says what is compared. Leave it out"
            )
    if not given["model"]:
        raise ConfigError(
            "--batch: expected --model FILE:FUNCTION beside it, the model that it is for"
        )
    (seed,) = given["seed"] if given["seed"] and len(given["seed"]) == 1 else (0,)
    if given["seed"] and len(given["seed"]) > 1:
        raise ConfigError(
            f"--seed: expected one with --model; received {', '.join(map(str, given['seed']))}"
        )
    what = model_plan.plan_model_check(
        given["model"],
        given["batch"],
        tuple(given["backends"] or ()),
        given["config"],
        seed=seed,
        device=given["device"],
        threads=threads_of(given["threads"]),
        time_limit_s=given["time_limit"],
    )
    console = console_of()
    with alone_on_machine("parity --model", wait=not given["no_wait"]), steps_line(console) as say:
        found = check(what, say)
    console.print(report.terminal(found), crop=False)
    written(
        {
            "--json": (given["json"], found.model_dump_json(indent=1)),
            "--junit": (given["junit"], report.junit(found)),
        }
    )
    if CODES[found.verdict]:
        raise typer.Exit(CODES[found.verdict])
