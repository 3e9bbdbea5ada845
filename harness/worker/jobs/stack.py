"""A run's inputs and scores where its spec is a stack of Dense layers on images of digits."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.job.asked import Live, Measure
from harness.spec.data.arrays import (
    Features,
    Labels,
    Weights,
    dataset_digest,
    load_dataset,
    load_weights,
    network_input,
    sha256,
    weights_digest,
)
from harness.spec.initializers import initial_weights
from harness.worker.clock import timed

if TYPE_CHECKING:
    from harness.job.request import Request
    from harness.worker.jobs.measure import Run

NOT_FINITE = "diverged: the trained model's outputs are not finite"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What every arm is given: the same bytes, and the digests of what was really read."""

    parts: Any  # the samples: of a stack the dataset's four arrays (n, ...), by name
    weights: Weights
    order: NDArray[np.int32]  # (epochs, samples of an epoch)
    data_sha256: str
    order_sha256: str
    feed: Any = None  # a pipeline of the user's own, which `fit` is given in place of the samples


def read_inputs(job: Measure | Live, framework: ModuleType) -> Inputs:
    """Return what the job's files hold, after a check that it is what the request names.

    Raises:
        Refused: it is not.
    """
    request, parts = job.request, load_dataset(job.dataset)
    if request.spec.inputs == "native":
        weights, order = _native_draw(request, framework)
    else:
        weights, order = read_draw(job)
    inputs = Inputs(parts, weights, order, dataset_digest(parts), sha256(order))
    check_data(inputs.data_sha256, request)
    return inputs


def read_draw(job: Measure | Live) -> tuple[Weights, NDArray[np.int32]]:
    """Return initial weights and order (epochs, n) from a job's files, by their digests.

    Raises:
        Refused: they are not those that were drawn.
    """
    request = job.request
    if job.weights is None or job.order is None:
        raise Refused("the job names no initial weights or no order of the samples")
    weights, order = load_weights(job.weights), np.load(job.order, allow_pickle=False)
    if weights_digest(weights) != request.weights_sha256:
        raise Refused("the initial weights have changed on disk since they were drawn")
    if sha256(order) != request.order_sha256:
        raise Refused("the order of the samples has changed on disk since it was drawn")
    return weights, order


def check_data(digest: str, request: Request) -> None:
    """Return if what was read is the data of the request.

    Raises:
        Refused: it is not.
    """
    if digest != request.data.sha256:
        raise Refused(f"the prepared {request.data.name} has changed on disk since it was checked")


def build(arm: ModuleType, job: Measure | Live, inputs: Inputs) -> Any:
    """Return an arm's state, once its weights are known to fit the spec.

    Args:
        arm: a module of harness.worker.arms.
        job: the request.
        inputs: what was read.

    Raises:
        Refused: the weights are not those of the spec.
    """
    request = job.request
    _check_shapes(request, inputs.weights)
    return arm.build(request.spec, inputs.weights, request.options)


def place(run: Run, samples: NDArray[np.int32]) -> Any:
    """Return an epoch's samples, (n,) by number, where the arm takes them from."""
    parts = run.inputs.parts
    return run.arm.place(network_input(parts["x_train"][samples]), parts["y_train"][samples])


def train_epoch(run: Run, data: Any) -> Any:
    """Return the state, loss and accuracy after an epoch of placed data."""
    return run.arm.epoch(run.state, data)


def evaluate(run: Run) -> dict[str, Any]:
    """Return accuracy and loss on the test images, None where an output is not finite."""
    test_inputs = network_input(run.inputs.parts["x_test"])
    outputs, evaluate_s = timed(lambda: run.arm.predict(run.state, test_inputs))
    accuracy = loss = None
    if np.isfinite(outputs).all():
        accuracy, loss = score(outputs, run.inputs.parts["y_test"], run.request.spec.loss_form)
    return {
        "evaluate_s": evaluate_s,
        "test_accuracy": accuracy,
        "test_loss": loss,
        "first_predictions": tuple(outputs[:10].argmax(axis=1).tolist()),
        "diverged": "" if accuracy is not None else NOT_FINITE,
    }


def score(outputs: Features, labels: Labels, loss_form: str) -> tuple[float, float]:
    """Return accuracy by argmax and mean cross-entropy, in float64, computed alike for every arm.

    **Differs**: Keras's own `evaluate` clips probabilities on JAX and PyTorch, and goes back to the
    logits on TensorFlow.

    Args:
        outputs: (n, classes), probabilities or logits.
        labels: (n,) the class of each sample.
        loss_form: "probs" or "logits"; probabilities are clipped to 1e-7 below.
    """
    accuracy = float(np.mean(outputs.argmax(axis=1) == labels))
    values = outputs.astype(np.float64)
    if loss_form == "probs":
        logs = np.log(np.clip(values, 1e-7, 1.0))
    else:
        shifted = values - values.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return accuracy, float(-np.mean(logs[np.arange(len(labels)), labels]))


def _native_draw(request: Request, framework: ModuleType) -> tuple[Weights, NDArray[np.int32]]:
    """Return weights and order from the framework's own generator, seeded with the run's seed."""
    spec, n_train = request.spec, request.data.n_train
    uniform, permutation = framework.generator(request.seed)
    layers = [(layer.name, layer.units) for layer in spec.layers]
    weights = initial_weights(uniform, request.data.n_inputs, layers, spec.initializer)
    rows = [
        permutation(n_train) if spec.shuffle else np.arange(n_train) for _ in range(request.epochs)
    ]
    return weights, np.stack(rows).astype(np.int32)


def _check_shapes(request: Request, weights: Weights) -> None:
    """Check the weights' names and shapes, since each framework's own message would differ."""
    n_inputs = request.data.n_inputs
    expected: dict[str, tuple[int, ...]] = {}
    for layer in request.spec.layers:
        expected[f"{layer.name}/kernel"] = n_inputs, layer.units
        expected[f"{layer.name}/bias"] = (layer.units,)
        n_inputs = layer.units
    if list(weights) != list(expected):
        raise Refused(f"weights: expected {', '.join(expected)}; received {', '.join(weights)}")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise Refused(f"{name}: expected shape {shape}; received {weights[name].shape}")
