"""What this process can do at most, in its framework, with its threads, on the spec's shapes.

It is a limit to compare its epochs with, and only one if nothing beats it. So each product of a
training step is measured by itself, its operands where the last round left them, in the form in
which a step has it and in the transposed one, in every way the framework has to repeat it; the
fastest counts. No epoch has that luck with all of its products. What a framework's compiler would
hoist out of a loop, since its operands do not change, is kept inside: see `product` in
harness.worker.frameworks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.job.answers import Rates

if TYPE_CHECKING:
    from harness.spec.config import Spec

Way = Callable[[int], Any]
"""Begins a number of rounds of one thing and returns the last result, perhaps a promise."""
Product = tuple[int, int, int, str]
"""(m, k, n) of an (m, k) by a (k, n) matrix, and how each lies in memory: "n" as it is, "t"
transposed."""

REPETITION_S = 0.01
N_REPETITIONS = 3
TOO_SLOW = 1.3  # times the best one so far: a way that needs as long is not repeated


def rates(framework: ModuleType, spec: Spec, n_inputs: int, n_dispatches: int) -> Rates:
    """Return what the process can do at most, in about a second, mostly of compiling.

    Args:
        framework: a module of harness.worker.frameworks.
        spec: its layers and its batch size give the shapes; float32.
        n_inputs: features of a sample.
        n_dispatches: calls that an epoch of this arm makes at the least.

    Returns:
        gemm_flops_per_s: FLOPs of all products of one step over the sum of their least seconds.
        bandwidth_bytes_per_s: two arrays of as many floats as the model has are read and one is
            written over, again and again. What is as small as this model (1.6 MB) stays in a cache:
            it is the rate of the model's own size, which is what an optimizer's update is bound by,
            and not that of the machine's memory.
        dispatch_s: the least seconds of the smallest call that the framework can make, waited for
            after many.
        n_dispatches: as given.
    """
    step = tuple(products(spec, n_inputs))
    n_parameters, random = _n_parameters(spec, n_inputs), np.random.default_rng(0)
    product_s = sum(_product_s(framework, product, random) for product in step)
    addition_s = least_s(framework, framework.addition(n_parameters))
    return Rates(
        gemm_flops_per_s=sum(flops(product) for product in step) / product_s,
        bandwidth_bytes_per_s=3 * 4 * n_parameters / addition_s,
        dispatch_s=least_s(framework, framework.smallest_call()),
        n_dispatches=n_dispatches,
    )


def products(spec: Spec, n_inputs: int) -> Iterator[Product]:
    """Yield the matrix products of one training step, forward and backward.

    The first layer's inputs need no gradient.
    """
    for index, layer in enumerate(spec.layers):
        yield spec.batch_size, n_inputs, layer.units, "nn"  # x @ kernel
        yield n_inputs, spec.batch_size, layer.units, "tn"  # x.T @ gradient of z, of the kernel
        if index:
            yield spec.batch_size, layer.units, n_inputs, "nt"  # gradient of z @ kernel.T, of x
        n_inputs = layer.units


def flops(product: Product) -> int:
    """Return the floating-point operations of a product: one multiplication and addition a pair."""
    m, k, n, _ = product
    return 2 * m * k * n


def least_s(framework: ModuleType, ways: Sequence[Way]) -> float:
    """Return the least seconds of one round in any of these ways, each repeated for some 10 ms.

    Not by `harness.worker.clock.timed`: collecting garbage before each repetition takes longer than
    the repetition.
    """
    best = math.inf
    for way in ways:
        framework.wait([way(1)])  # compiles
        rounds = 1
        while (spent := _spent_s(framework, way, rounds)) < REPETITION_S / 4:
            rounds *= 2 if spent > REPETITION_S / 100 else 16
        rounds = max(1, round(rounds * REPETITION_S / spent))
        for _ in range(N_REPETITIONS):
            round_s = _spent_s(framework, way, rounds) / rounds
            best = min(best, round_s)
            if round_s > TOO_SLOW * best:
                break
    return best


def _spent_s(framework: ModuleType, way: Way, rounds: int) -> float:
    start = time.perf_counter()
    framework.wait([way(rounds)])
    return time.perf_counter() - start


def _product_s(framework: ModuleType, product: Product, random: np.random.Generator) -> float:
    """Return the least seconds of a product or of its transpose, which gives the same numbers."""
    m, k, n, _ = product
    return min(
        least_s(framework, framework.product(*_factors(each, random), each[3]))
        for each in (product, (n, k, m, "nn"))
    )


def _factors(product: Product, random: np.random.Generator) -> list[NDArray[np.float32]]:
    """Return the two factors as they lie in memory.

    They hold neither zeros nor denormals, which some processors multiply at another speed.
    """
    m, k, n, form = product
    shapes = (k, m) if form[0] == "t" else (m, k), (n, k) if form[1] == "t" else (k, n)
    return [random.random(shape, np.float32) + np.float32(0.5) for shape in shapes]


def _n_parameters(spec: Spec, n_inputs: int) -> int:
    widths = (n_inputs, *(layer.units for layer in spec.layers))
    return sum((before + 1) * units for before, units in pairwise(widths))
