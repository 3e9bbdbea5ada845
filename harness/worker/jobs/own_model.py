"""A run of a user's own model: its inputs, how it is built, and what it comes to.

One backend draws the initial weights of a seed, and all begin with them, by the variables' paths.
What a layer draws in training (dropout) stays each backend's own, from the same seed.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.job.asked import DrawModel, Live, Measure
from harness.job.own_model import DrawnModel, Quality
from harness.spec.arm_source import digest_sources
from harness.spec.data.arrays import sha256, weights_digest
from harness.spec.data.own import OwnData, digest_parts, map_leaves
from harness.spec.data.own_folder import read as read_data
from harness.spec.targets import ModelSource
from harness.worker import replicas
from harness.worker.arms.train_step.verbs import Training
from harness.worker.arms.train_step.verbs import export as export_weights
from harness.worker.clock import timed
from harness.worker.jobs.stack import NOT_FINITE, Inputs, check_data, read_draw
from harness.worker.own_code import describe_error, named_errors
from harness.worker.saved_model import make_model
from harness.worker.user_data.feed import open_feed
from harness.worker.user_inputs import Unusable

if TYPE_CHECKING:
    from harness.worker.jobs.measure import Run


def read_inputs(job: Measure | Live, framework: ModuleType) -> Inputs:
    """Return what the job's files hold, after a check that it is what the request names.

    Raises:
        Refused: it is not.
    """
    del framework
    data = read_data(job.dataset)
    weights, order = read_draw(job)
    n_used = job.request.data.n_train  # limit_batches leaves the others out
    digest = digest_parts(data.parts)
    check_data(digest, job.request)
    feed = open_feed(job.feed, data, job) if job.feed else None
    return Inputs(data, weights, order[:, :n_used], digest, sha256(order), feed)


def build(arm: ModuleType, job: Measure | Live, inputs: Inputs) -> Training:
    """Return the user's model in an arm's hands, with the weights that were drawn.

    Args:
        arm: `harness.worker.arms.train_step`.
        job: the request, and the model's file.
        inputs: what was read.

    Raises:
        Refused: it cannot be built here, or is not the model that the weights were drawn for.
    """
    request, source, size = job.request, job.model, job.request.spec.batch_size
    if source is None:
        raise Refused("the job names no model")
    model = build_whole(source, request.seed, inputs.parts, size)
    training: Training = arm.build(model, inputs.weights, request.options, size)
    keras.utils.set_random_seed(request.seed)  # of what its layers draw in training
    return training


def build_whole(source: ModelSource, seed: int, data: OwnData, batch_size: int) -> Any:
    """Return the user's compiled model with all its variables, and its optimizer's.

    Args:
        source: what builds it.
        seed: of its draws.
        data: whose first batch says what shapes it takes.
        batch_size: of that batch.

    Raises:
        Refused: it cannot be built here.
    """
    batch = data.take(slice(0, batch_size))
    model = build_for(source, seed, batch)
    if keras.backend.backend() == "torch" and replicas.of("torch").count() > 1:
        forms = map_leaves(np.zeros_like, batch)
        replicas.own_models().append((model, (source, seed, keras.config.floatx(), forms)))
    return model


def build_for(source: ModelSource, seed: int, batch: Any) -> Any:
    """Return the user's compiled model with all its variables, and its optimizer's.

    Args:
        source: what builds it.
        seed: of its draws.
        batch: a tree of arrays (n, ...), whose shapes it takes.

    Raises:
        Refused: it cannot be built here.
    """
    if source.sha256 != digest_sources(source.file):
        raise Refused(f"{source.file.name}: has changed on disk since the run was planned")
    model = make_model(source, seed, source.name)
    with named_errors(f"{source.name}: its first batch", source.file):
        model._symbolic_build(data_batch=batch)
    if not model.trainable_variables:
        raise Unusable(f"{source.name}: expected a model with weights to train; it has none")
    return model


def place(run: Run, samples: NDArray[np.int32]) -> Any:
    """Return an epoch's samples, (n,) by number, where the arm takes them from; or the pipeline."""
    if run.inputs.feed is not None:
        return run.inputs.feed
    return run.arm.place(run.inputs.parts.take(samples), run.request.options)


def train_epoch(run: Run, data: Any) -> Any:
    """Return the state, loss and accuracy after an epoch of placed data.

    Raises:
        Refused: the user's model raises, as a train_step of another backend does.
    """
    if run.model is None:
        raise Refused("the job names no model")
    with named_errors(f"{run.model.name}: training", run.model.file):
        return run.arm.epoch(run.state, data)


def evaluate(run: Run) -> dict[str, Any]:
    """Return the compiled loss and metrics on the validation data, or else on the training data."""
    data: OwnData = run.inputs.parts
    of = "training data" if data.validation is None else "validation data"
    given = data.training if data.validation is None else data.validation
    values: dict[str, float] = {}
    failure = ""

    def work() -> dict[str, float]:
        found: dict[str, float] = run.arm.evaluate(run.state, given)
        return found

    try:
        values, evaluate_s = timed(work)
    except Exception as error:  # what was measured is worth more
        evaluate_s, failure = 0.0, f"evaluate {describe_error(error, '')}"
    finite = {name: value for name, value in values.items() if np.isfinite(value)}
    return {
        "evaluate_s": evaluate_s,
        "test_accuracy": None,
        "test_loss": None,
        "quality": Quality(of=of, values=finite, failure=failure),
        "diverged": NOT_FINITE if len(finite) < len(values) else "",
    }


def draw(job: DrawModel, say: Any, *_: Any) -> DrawnModel:
    """Draw the model's weights for each seed, and write them into the job's folder.

    Raises:
        Refused: the model cannot be built here.
        Unusable: it can be built nowhere.
    """
    data, drawn, n_parameters = read_data(job.dataset), {}, 0
    for seed in job.seeds:
        say(phase=f"weights of seed {seed}")
        keras.backend.clear_session()  # layers are named as in a fresh process
        model = build_whole(job.model, seed, data, job.batch_size)
        training = Training(model, job.batch_size, "keras", lambda: 0)
        weights = export_weights(training)
        drawn[str(seed)] = weights_digest(weights)
        n_parameters = sum(value.size for value in weights.values())
        _write(job.folder / f"weights-{drawn[str(seed)]}.npz", weights)
    return DrawnModel(weights=drawn, n_parameters=n_parameters)


def _write(file: Path, weights: dict[str, NDArray[Any]]) -> None:
    """Write weights of any shape to a file whose name tells its content, whole or not at all."""
    partial = file.with_name(f".{file.stem}.{id(weights)}.partial.npz")
    np.savez(partial, **weights)  # type: ignore[arg-type]
    partial.replace(file)
