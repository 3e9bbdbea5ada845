"""Null comparisons: one backend computes a clean model in another way, and must still agree.

`nox -s referee -- nulls [MODEL...]` lets each backend in turn run on one core, with oneDNN
switched, with the batch's rows in another order, and compiled where it was not, or the reverse. The
verdict is the one of `harness parity`, of all three backends, of which one has changed. What is
traced is kept in .zoo/nulls, so that it can go on.
"""

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

from harness.engine import launch
from harness.experiments.parity.model_evidence import BackendAnswer, judge
from harness.experiments.parity.model_verdict import Verdicts
from harness.job.answers import ComputedModel
from harness.spec import config

ROOT = Path(__file__).resolve().parents[2]
CONFIG = config.load(ROOT / "backends.toml")
FOLDER = ROOT / ".zoo" / "nulls"
DTYPES = ("float32", "float64")
BASE = ""
WAYS = {  # by backend: what is done in another way
    "torch": ("one core", "onednn", "reversed"),  # compiled, a model takes minutes here
    "tensorflow": ("one core", "onednn", "reversed", "jit"),
    "jax": ("one core", "onednn", "reversed", "jit"),
}
VARIABLES = {
    ("tensorflow", "onednn"): {"TF_ENABLE_ONEDNN_OPTS": "0"},
    ("jax", "onednn"): {"XLA_FLAGS": "--xla_cpu_use_onednn=true"},
}
DRAWS = ("dropout",)  # what a row draws depends on its place
MODELS = (
    *("dense_adam", "dense_momentum", "cnn_bn", "residual", "dict_inputs", "l2", "add_loss"),
    *("two_outputs", "embedding_lstm", "masked_bigru", "attention", "subclass", "schedule_adam"),
    *("clipnorm", "mixed_float16", "mixed_bfloat16", "dropout", "norms", "resizing"),
)
SHORTEST = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


def trace(backend, dtype, way, models):
    """Trace what is missing of one backend, computing in one way."""
    missing = [name for name in models if not file_of(backend, dtype, way, name).is_file()]
    if not missing:
        return
    known = CONFIG.backends[backend]
    variables = launch.worker_variables(known, "cpu", "auto")
    variables |= {"KERAS_HOME": str(FOLDER / "keras"), **VARIABLES.get((backend, way), {})}
    python = str(launch.interpreter_of(backend, known, ROOT).path)
    command = [python, "-m", "tests.zoo.traced", str(FOLDER), f"{dtype}+{way}" if way else dtype]
    cores = os.sched_getaffinity(0)
    if way == "one core":
        os.sched_setaffinity(0, {min(cores)})
    try:
        subprocess.run([*command, *missing], cwd=ROOT, env=variables, check=False)
    finally:
        os.sched_setaffinity(0, cores)


def file_of(backend, dtype, way, name):
    """Return where a model's quantities are."""
    return FOLDER / f"{backend}-{dtype}{f'+{way}' if way else ''}" / f"{name}.npz"


def answer(backend, way, name):
    """Return what a backend made of a model, as `harness parity` would have it."""
    computed = ComputedModel(
        device="cpu",
        versions={},
        read="",
        layers={},
        dtype=SHORTEST.get(name, "float32"),
        short=(),
        remarks=(),
        n_parameters=0,
        n_samples=16,
    )
    rounded, exact = (file_of(backend, dtype, way, name) for dtype in DTYPES)
    return BackendAnswer(computed=computed, rounded=rounded, exact=exact)


def compare(name, changed, way):
    """Return why a null comparison is no agreement; "" where all agree."""
    heard = {each: answer(each, way if each == changed else BASE, name) for each in WAYS}
    lost = [
        each for each in heard.values() for file in (each.rounded, each.exact) if not file.is_file()
    ]
    if lost:
        return "not computed"
    verdicts = Verdicts(heard, judge(heard))
    several = [verdicts.of(each) for each in heard]
    return "; ".join(
        f"{each.backend} {each.verdict}: {each.reason}" for each in several if each.reason
    )


def main(*names):
    """Trace, compare, and say how many null comparisons were no agreement; exit 1 if any."""
    models = names or MODELS
    FOLDER.mkdir(parents=True, exist_ok=True)
    for backend, dtype in product(WAYS, DTYPES):
        trace(backend, dtype, BASE, models)
    n_done, wrong = 0, []
    for backend, ways in WAYS.items():
        for way in ways:
            able = [name for name in models if way != "reversed" or name not in DRAWS]
            for dtype in DTYPES:
                trace(backend, dtype, way, able)
            for name in able:
                said = compare(name, backend, way)
                n_done += 1
                wrong += [f"{backend}, {way}, {name}: {said}"] if said else []
            print(f"{n_done} null comparisons, {len(wrong)} false alarms", flush=True)
    print(*wrong, sep="\n")
    if wrong:
        sys.exit(1)
