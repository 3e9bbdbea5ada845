"""`harness parity FILE[:FUNCTION]`: a user's own model on each backend.

Exit 0 where all agree, 1 where one departs or fails, 3 where nothing says who is wrong.
"""

from __future__ import annotations

from dataclasses import fields, replace

from harness.cli.answer import Answer
from harness.cli.output import console_of
from harness.cli.parity_options import ParityOptions
from harness.cli.parity_show import code_of
from harness.cli.parsing import parse_threads
from harness.cli.project import hold_machine, name_pythons
from harness.cli.report import write_page
from harness.cli.setup import make_missing
from harness.errors import ConfigError, shown

MEANINGFUL = (  # options of `harness parity` that say something with --model
    *("model", "batch", "data", "names", "seed", "threads", "time_limit", "device", "no_wait"),
    *("python", "setup", "quick", "full", "replicas"),
    *("json", "junit", "report", "results", "config"),
)


def with_model(options: ParityOptions) -> ParityOptions:
    """Return the options, a model that is named among the arms as --model.

    Raises:
        ConfigError: several models are named.
    """
    from harness.spec.model import is_target

    names = options.names or ()
    files = [name for name in names if is_target(name)]
    if not files:
        return options
    several = files + [options.model or ""] * bool(options.model)
    if len(several) > 1:
        received = ", ".join(map(shown, several))
        raise ConfigError(f"--model: expected one model; received {received}")
    rest = [name for name in names if name not in files]
    return replace(options, model=files[0], names=rest)


def check_model(options: ParityOptions) -> Answer:
    """Check the model, keep the record, and return what came of it."""
    from harness.cli.report_page import gather_check
    from harness.experiments.parity import model_document as report
    from harness.experiments.parity import model_plan
    from harness.experiments.parity.model_check import check
    from harness.records import store
    from harness.report.progress import steps_line

    model = _check_options(options)
    what = model_plan.plan_model_check(
        model,
        options.batch,
        tuple(options.names or ()),
        options.config,
        seed=options.seed[0] if options.seed else 0,
        device=options.device,
        threads=parse_threads(options.threads),
        time_limit_s=options.time_limit,
        updates=(0,) if options.quick else model_plan.UPDATES if options.full else (),
    )
    what = model_plan.with_data(what, options.data)
    what = model_plan.with_replicas(what, options.replicas)
    what = replace(what, backends=name_pythons(what.backends, options.python))
    if options.setup:
        make_missing(what.root, what.backends, what.device)
    results = options.results or what.root / "results"
    store.ready(results, "models")
    wait, page = not options.no_wait, options.report
    with hold_machine("parity --model", wait=wait), steps_line(console_of()) as report_step:
        found = check(what, report_step)
    return Answer(
        document=report.compose(found),
        record=found,
        exit_code=code_of(found),
        files={"json": options.json, "junit": options.junit},
        kept=store.add(results, found),
        write_page=lambda: write_page(page, results, lambda: gather_check(results, found.run_id)),
    )


def _check_options(options: ParityOptions) -> str:
    """Return the model; raise ConfigError where an option has no meaning with one."""
    for name in (field.name for field in fields(options)):
        if name not in MEANINGFUL and getattr(options, name):
            option = {"only": "arm", "also": "arms"}.get(name, name.replace("_", "-"))
            why = "has no meaning with --model, whose file says what is compared"
            raise ConfigError(f"--{option}: {why}. Leave it out")
    if not options.model:
        raise ConfigError(
            "--batch: expected --model FILE:FUNCTION beside it, the model that it is for"
        )
    seeds = options.seed or ()
    if len(seeds) > 1:
        received = ", ".join(map(str, seeds))
        raise ConfigError(f"--seed: expected one with --model; received {received}")
    return options.model
