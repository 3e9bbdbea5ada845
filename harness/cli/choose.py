"""`harness choose FILE.py`: is it one model on every backend, and which of them trains it fastest?

Exit 0 where it can say, 1 where a backend departs or an arm was set aside, 3 where nothing is sure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.cli.answer import Answer
from harness.cli.bench import answer_of, budget_of, measure
from harness.cli.command import command
from harness.cli.options import ChooseOptions
from harness.cli.own_model import open_spec, prepared_model
from harness.cli.project import open_project
from harness.cli.report import prepare_page
from harness.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.records.bench import Bench
    from harness.records.user_model import ModelParity
    from harness.spec.model import OwnModel

USUAL_S = 720.0  # as its --help says
BARRED = ("departs", "failed")


@command(ChooseOptions)
def choose(options: ChooseOptions) -> Answer:
    """Say which backend should train your model: is it one model everywhere, which is fastest?

    What the results already say of the model as it is now is not measured again.
    """
    from harness.spec.model import own_model

    project = open_project(options.config, options.results, options.python, setup=options.setup)
    project, options = open_spec(project, options)
    name, spec = project.config.spec(options.spec)
    own = own_model(spec)
    if own is None:
        hint = "Name it: harness choose my_model.py. Stacks are compared by harness bench"
        raise ConfigError(f"choose: expected a model of your own; received the spec {name}. {hint}")
    prepare_page(options.report)
    budget = budget_of(options.budget, USUAL_S)
    given, interrupted = (project, options.spec, options.dataset), False
    if options.show:
        bench = _newest(project.results, own)
    else:
        with prepared_model(*given, wait=not options.no_wait) as whole:
            bench, interrupted = measure(whole, options, budget, "choose")
    unasked = options.no_parity and not options.show
    parity = None if unasked else _check_of(bench, project.results, own)
    answer = answer_of(bench, project.results, options, _sentence(parity))
    verdict = parity.verdict if parity else "agrees"
    worst = 1 if verdict in BARRED else 0 if verdict == "agrees" else 3
    codes = {answer.exit_code, worst}
    code = 130 if interrupted else next((each for each in (1, 3) if each in codes), 0)
    return replace(answer, exit_code=code)


def _newest(results: Path, own: OwnModel) -> Bench:
    """Return the newest session of the model as it is now."""
    from harness.records.sessions import load_all

    known = sessions_of(own, load_all(results).sessions)
    if not known:
        missing = f"no session of {own.called} as it is now to show"
        raise StoreError(f"{results}: {missing}. Run: harness choose {own.model}")
    return known[0]


def sessions_of(own: OwnModel, benches: Iterable[Bench]) -> list[Bench]:
    """Return the sessions of a model as its files are now, with the same arguments."""
    from harness.spec.model import own_model

    specs = [(bench, own_model(bench.session.spec)) for bench in benches]
    asked = own.called, own.sha256
    return [bench for bench, spec in specs if spec and (spec.called, spec.sha256) == asked]


def _check_of(bench: Bench, results: Path, own: OwnModel) -> ModelParity | None:
    """Return the newest check of the model as it is now, on the backends of its session."""
    from harness.records import store
    from harness.records.verdicts import newest_check

    backends = {entrant.backend for entrant in bench.session.entrants}
    return newest_check(store.load(results, "models")[0], own, backends)


def _sentence(parity: ModelParity | None) -> str:
    """Return whether it is one model on every backend, in one sentence."""
    from harness.errors.safe import short
    from harness.report.document import listed

    if parity is None:
        return "Whether it is one model on every backend was not checked."
    alike = [each.backend for each in parity.backends if each.verdict == "agrees"]
    if len(alike) == len(parity.backends):
        return f"It is one model on {listed(alike)}."
    others = [
        f"{each.backend}: {each.verdict}" + (f" ({short(each.reason, 200)})" if each.reason else "")
        for each in parity.backends
        if each.backend not in alike
    ]
    return f"It is not known to be one model everywhere. {'; '.join(others)}."
