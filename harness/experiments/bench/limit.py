"""What one epoch costs at the least: its operations, traffic and calls, at measured rates."""

from __future__ import annotations

from itertools import pairwise

from harness.job.answers import Rates
from harness.spec.config import SGD, Adam, RMSprop, Spec

FLOAT_BYTES = 4


def training_flops(spec: Spec, n_inputs: int) -> int:
    """Return the FLOPs of one sample's step: outputs and gradients, none of the data."""
    kernels = _kernels(spec, n_inputs)
    return 2 * (3 * sum(kernels) - kernels[0])


def n_parameters(spec: Spec, n_inputs: int) -> int:
    """Return the number of weights, biases among them."""
    return sum(_kernels(spec, n_inputs)) + sum(layer.units for layer in spec.layers)


def optimizer_bytes(spec: Spec, n_inputs: int, n_train: int) -> int:
    """Return the bytes that one epoch's updates move: each weight, gradient and slot once.

    Args:
        spec: the layers, the optimizer and the batch size.
        n_inputs: of one sample.
        n_train: samples of an epoch.
    """
    n_updates = -(-n_train // spec.batch_size)
    return FLOAT_BYTES * n_parameters(spec, n_inputs) * _moves(spec.optimizer) * n_updates


def limit_s(spec: Spec, n_inputs: int, n_train: int, rates: Rates) -> float:
    """Return the seconds of an epoch that is only products, optimizer traffic and calls.

    The three follow one another here; where a framework overlaps them, an epoch can be shorter.

    Args:
        spec: what is trained.
        n_inputs: of one sample.
        n_train: samples of an epoch.
        rates: what the machine can do at most.
    """
    products_s = training_flops(spec, n_inputs) * n_train / rates.gemm_flops_per_s
    traffic_s = optimizer_bytes(spec, n_inputs, n_train) / rates.bandwidth_bytes_per_s
    return products_s + traffic_s + rates.n_dispatches * rates.dispatch_s


def _kernels(spec: Spec, n_inputs: int) -> list[int]:
    """Return each kernel's number of elements."""
    return [
        inputs * units
        for inputs, units in pairwise([n_inputs, *(layer.units for layer in spec.layers)])
    ]


def _moves(optimizer: SGD | RMSprop | Adam) -> int:
    """Return how many floats an update moves for each weight: itself, gradient and slots."""
    match optimizer:
        case SGD(momentum=0):
            return 3  # reads weight and gradient, writes the weight
        case SGD() | RMSprop():
            return 5  # and reads and writes one slot
        case Adam():
            return 7  # two slots
