"""Runs inside a backend's environment: `python -m tests.backend.limits_probe BACKEND FILE` measures
its limits and checks its clock.
"""

import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from harness.worker import facts
from harness.worker.jobs import limit, self_check

SPEC = SimpleNamespace(
    batch_size=128,
    layers=[SimpleNamespace(name="hidden", units=512), SimpleNamespace(name="output", units=10)],
)


def products(framework):
    """For each form and each way to multiply: how far five rounds are from NumPy's float64 product,
    relative.
    """
    random = np.random.default_rng(3)
    found = []
    for form in ("nn", "tn", "nt"):
        a, b = limit._factors((7, 5, 3, form), random)
        exact = (a.T if form[0] == "t" else a).astype(np.float64) @ (b.T if form[1] == "t" else b)
        for way in framework.product(a, b, form):
            received = framework.read(way(5))
            assert received.shape == exact.shape
            # TensorFlow's second way exchanges the first number of b in each round: the first
            # column has another value.
            found.append(float(np.abs(received - exact)[:, 1:].max() / np.abs(exact).max()))
    return found


def longer(framework):
    """For each way to do each thing: how many times as long 512 rounds take as 16 do."""
    factors = limit._factors((64, 4096, 64, "nn"), np.random.default_rng(3))
    addition, smallest = framework.addition(1_000_000), framework.smallest_call()
    ways = {"product": framework.product(*factors, "nn"), "sweep": addition, "smallest": smallest}
    if framework.__name__.endswith(".jax"):
        ways["hoisted"] = (hoisted(*factors),)
    return [(name, ratio(framework, way)) for name, several in ways.items() for way in several]


def hoisted(a, b):
    """The defect: a loop whose factors do not change, out of which XLA takes the product."""
    import jax

    a, b = jax.device_put((a, b))
    program = jax.jit(
        lambda rounds, a, b: jax.lax.fori_loop(0, rounds, lambda index, result: a @ b, a[:, :64])
    )
    return lambda rounds: program(rounds, a, b)


def ratio(framework, way):
    framework.read(way(1))
    few, many = (min(seconds(framework, way, rounds) for _ in range(5)) for rounds in (16, 512))
    return many / few


def seconds(framework, way, rounds):
    start = time.perf_counter()
    framework.read(way(rounds))
    return time.perf_counter() - start


def main(backend, file):
    framework = facts.framework_of(backend)
    framework.devices()
    found = {
        "memory": facts.memory_bytes(framework),
        "products": products(framework),
        "longer": longer(framework),
    }
    found["rates"] = vars(limit.rates(framework, SPEC, 784, 469))
    found["wait"] = vars(self_check.wait_is_effective(framework))
    framework.wait = lambda tensors: None  # the defect: the clock is read when the promise is there
    found["no wait"] = vars(self_check.wait_is_effective(framework))
    Path(file).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)
