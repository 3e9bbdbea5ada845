"""A user's own model made ready for `train` and `bench`: its data, weights and proofs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from harness.cli.options import MeasuringOptions
from harness.cli.output import console_of, say
from harness.cli.project import Project, hold_machine, make_environments
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.engine.own_model import PreparedModel, Workshop
    from harness.job.arm import ArmId
    from harness.records.bench import Session
    from harness.records.proof import ArmProof
    from harness.spec.config import Config


Options = TypeVar("Options", bound=MeasuringOptions)


def open_spec(project: Project, options: Options) -> tuple[Project, Options]:
    """Return the project that holds the spec asked for, and the options that name it.

    A model of the user's own may stand among the arms: FILE.py[:FUNCTION].

    Args:
        project: whose specs are chosen from.
        options: of a verb that trains.

    Raises:
        ConfigError: there are two models, or a file or a function is not there.
    """
    from harness.spec.model import is_target
    from harness.spec.project import choose_spec

    named = options.names or []
    asked = [name for name in named if is_target(name)] + [options.spec] * bool(options.spec)
    if len(asked) > 1:
        raise ConfigError(f"expected one spec; received {', '.join(map(str, asked))}")
    spec, data = next(iter(asked), None), getattr(options, "data", None)
    config, name = choose_spec(project.root, project.config, spec, data)
    arms = [each for each in named if each != spec]
    changed = replace(options, names=arms or None, spec=name if spec else None)
    if config is not project.config:  # a model's arms are others than a stack's
        _check_arms(project.config, config, changed)
    project = replace(project, config=config)
    make_environments(project, changed)  # before the data are made there
    return project, changed


def _check_arms(whole: Config, config: Config, options: MeasuringOptions) -> None:
    """Raise ConfigError where an arm is named that no model of the user's own has."""
    from harness.engine.arms import declared_arms, select_arms

    named = [name.strip() for text in options.asked for name in text.split(",")]
    for backend in (name.partition("/")[0] for name in named):
        if backend in whole.backends and backend not in config.backends:
            able = ", ".join(config.backends)
            why = "trains stacks of Dense layers only, and no Keras model"
            raise ConfigError(f"arms: {backend}: {why}. Name one of {able}")
    select_arms(declared_arms(config), named, options.only or ())


def adopt_spec(project: Project, session: Session) -> Project:
    """Return the project that holds the spec of a session, where that is a model of the user's own.

    Its files are read as they are now.
    """
    from harness.spec.model import own_model, read_files
    from harness.spec.own_arms import with_own_model

    spec, name = own_model(session.spec), session.spec_name
    if spec is None:
        return project
    found = read_files(spec, project.root, f"[specs.{name}]")
    config = with_own_model(project.config, name, found, project.root)
    return replace(project, config=config)


@contextmanager
def prepared_model(
    project: Project, spec_name: str | None, dataset: str | None = None, *, wait: bool = True
) -> Iterator[Project]:
    """Give the project with the data of a user's own model made; as it is for a stack.

    The data are removed afterwards.

    Args:
        project: that holds the spec.
        spec_name: None for the first.
        dataset: what --dataset names.
        wait: until nobody else measures on this machine.

    Raises:
        ConfigError: the data cannot be made, or --dataset was given for such a model.
    """
    from harness.engine import own_model
    from harness.engine.own_data import own_data_folder
    from harness.spec.model import own_model as of_user

    spec_name, found = project.config.spec(spec_name)
    spec = of_user(found)
    if spec is None:
        yield project
        return
    if dataset:
        hint = "has a meaning with a stack of Dense layers only. Leave it out, or name --data"
        raise ConfigError(f"--dataset: {hint}")
    with own_data_folder() as folder:
        with hold_machine("data", wait=wait), _workshop(project) as where:
            whole, prepared, remarks = own_model.make_data(spec, project.root, where, folder)
        _say_data(prepared, remarks)
        specs = {**project.config.specs, spec_name: whole}
        config = project.config.model_copy(update={"specs": specs})
        yield replace(project, config=config, prepared=prepared)


def _say_data(prepared: PreparedModel, remarks: tuple[str, ...]) -> None:
    n_samples = f"{prepared.n_samples:,} samples"
    used = f", {prepared.n_train:,} an epoch" if prepared.n_train < prepared.n_samples else ""
    say(f"data: {prepared.name} ({prepared.sha256[:8]}), {n_samples}{used}")
    for remark in remarks:
        say(f"! {prepared.name}: {remark}", "yellow")


def draw_and_prove(
    project: Project,
    spec_name: str,
    arms: Iterable[ArmId],
    seeds: Iterable[int],
    n_replicas: int,
) -> Project:
    """Return the project with weights drawn for some seeds, and with each arm proved or untimed.

    A proof of the same arm, model, data and environment that the results hold is not made again.

    Args:
        project: with the data made.
        spec_name: of the model.
        arms: that are to be timed.
        seeds: of the weights.
        n_replicas: devices on which the arms are to train.

    Raises:
        ConfigError: no backend can build the model.
    """
    from harness.engine import own_model
    from harness.experiments.train.proofs import known_proofs, prove
    from harness.records import store

    spec = project.config.specs[spec_name]
    store.ready(project.results, "proofs")
    with _workshop(project) as where:
        prepared = own_model.draw_weights(project.model, where, seeds)
        known = known_proofs(project.results)
        for arm in dict.fromkeys(arms):
            if own_model.needs_proof(arm, n_replicas):
                proof = prove(prepared, spec, arm, where, known, n_replicas)
                if proof not in known:
                    store.add(project.results, proof)
                _say_proof(arm, proof)
                prepared = prepared.untime(arm, proof.why_untimed)
    return replace(project, prepared=prepared)


def _say_proof(arm: ArmId, proof: ArmProof) -> None:
    if why := proof.why_untimed:
        say(f"! {arm.name}: {why}", "yellow")
    elif proof.proved and proof.proved.refused:
        say(f"{arm.name}: {proof.proved.refused}; lean takes its place", "yellow")


@contextmanager
def _workshop(project: Project) -> Iterator[Workshop]:
    """Give where what is done once is done, with a line that shows what that is."""
    from harness.engine.own_model import Workshop
    from harness.report.progress import steps_line

    backends, limit_s = tuple(project.config.backends), project.config.protocol.time_limit_s
    with steps_line(console_of()) as report_step:
        yield Workshop(project.executor, backends, limit_s, report_step)
