"""Null comparisons: one backend computes a clean model in another way, and must still agree.

`nox -s referee -- nulls [MODEL...]` lets each backend in turn take the batch's rows in two other
orders, run with oneDNN switched, on one core, and compiled where it was not, or the reverse. The
verdict is the one of `harness parity`, of all three backends, of which one has changed, from the
states after 0 and 10 updates. What is traced is kept in .zoo/nulls, so that it can go on; with all
models it writes results/reference/nulls.md.
"""

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import harness
from harness.engine import launch
from harness.experiments.parity.model_evidence import BackendAnswer, judge
from harness.experiments.parity.model_verdict import Verdicts
from harness.job.answers import ComputedModel
from harness.spec import config

ROOT = Path(__file__).resolve().parents[2]
CONFIG = config.load(ROOT / "backends.toml")
FOLDER = ROOT / ".zoo" / "nulls"
TABLE = ROOT / "results" / "reference" / "nulls.md"
DTYPES = ("float32", "float64")
BASE, ORDERS = "", "orders"  # a process computes the base and all other orders of the rows
BACKENDS = ("torch", "tensorflow", "jax")
WAYS = {  # what is done in another way
    "reversed": "the batch's rows in the reverse order",
    "shuffled": "the batch's rows in an order drawn by chance",
    "onednn": "oneDNN off, on JAX on; on PyTorch NNPACK off, too",
    "one core": "one core for two",
    "jit": "not compiled",  # compiled by PyTorch, a model takes minutes here
}
VARIABLES = {
    ("tensorflow", "onednn"): {"TF_ENABLE_ONEDNN_OPTS": "0"},
    ("jax", "onednn"): {"XLA_FLAGS": "--xla_cpu_use_onednn=true"},
}
STATES = "0,10"  # updates
ORDERED = ("reversed", "shuffled")  # as tests.zoo.traced.ORDERS, which needs Keras
DRAWS = ("dropout",)  # what a row draws depends on its place
MODELS = (
    *("dense_adam", "dense_momentum", "cnn_bn", "residual", "dict_inputs", "l2", "add_loss"),
    *("two_outputs", "embedding_lstm", "masked_bigru", "attention", "subclass", "schedule_adam"),
    *("clipnorm", "mixed_float16", "mixed_bfloat16", "dropout", "norms", "resizing"),
)
SHORTEST = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


def trace(backend, dtype, way, models):
    """Trace what is missing of one backend, computing in one way."""
    last = ORDERED[-1] if way == ORDERS else way
    missing = [name for name in models if not file_of(backend, dtype, last, name).is_file()]
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
        cases = [f"{name}@{STATES}" for name in missing]
        subprocess.run([*command, *cases], cwd=ROOT, env=variables, check=False)
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
    heard = {each: answer(each, way if each == changed else BASE, name) for each in BACKENDS}
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
    for backend, dtype in product(BACKENDS, DTYPES):
        trace(backend, dtype, ORDERS, models)
    rows, wrong = [], []
    for way, backend in product(WAYS, BACKENDS):
        if (way, backend) == ("jit", "torch"):
            continue
        found = compare_all(backend, way, models)
        false = [f"{backend}, {way}, {name}: {said}" for name, said in found.items() if said]
        rows.append((backend, WAYS[way], len(found), len(false)))
        wrong += false
        print(*rows[-1], *false, sep="; ", flush=True)
    if not names:
        TABLE.write_text(compose(rows, wrong), encoding="utf-8")
    if wrong:
        sys.exit(1)


def compare_all(backend, way, models):
    """Return what is no agreement by model, where a backend computes in one way."""
    in_order = way in ORDERED
    able = [name for name in models if not (in_order and name in DRAWS)]
    for dtype in () if in_order else DTYPES:
        trace(backend, dtype, way, able)
    return {name: compare(name, backend, way) for name in able}


def compose(rows, wrong):
    """Return the table as Markdown."""
    n_done = sum(row[2] for row in rows)
    lines = [
        "# Null comparisons: a backend computes a clean model in another way, and must still agree",
        "",
        f"harness {harness.__version__}. `nox -s referee -- nulls` makes this table, of"
        f" {len(MODELS)} models of the zoo,",
        "each judged as by `harness parity` on TensorFlow, JAX and PyTorch, one of them changed.",
        "",
        "With oneDNN off and NNPACK on, PyTorch's convolution is another algorithm, 18 times as",
        "far from float64 (1.7e-06): `parity` says so, and is right. Both are off here.",
        "",
        f"{n_done} comparisons, {len(wrong)} false alarms.",
        "",
        "| backend | what is done in another way | comparisons | false alarms |",
        "| --- | --- | ---: | ---: |",
        *("| {} | {} | {} | {} |".format(*row) for row in rows),
        *(f"\n- {each}" for each in wrong),
    ]
    return "\n".join(lines) + "\n"
