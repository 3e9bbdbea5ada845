"""Hold the zoo to the float64 referee: `python -m tests.zoo.referee [FOLDER]` prints the table.

Clean models agree on all backends; a defect planted on PyTorch alone is found at its layer. With
`applications`, `defects` or `nulls` before other names it is that part: see those modules.
"""

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from harness.engine import launch
from harness.experiments.parity.model_evidence import BATCH
from harness.referee.model64 import OUTPUTS, judge_model
from harness.referee.quantities import kind_of
from harness.spec import config
from harness.spec.data.arrays import strip_prefix
from tests.zoo import applications, found, nulls

ROOT = Path(__file__).resolve().parents[2]
CONFIG = config.load(ROOT / "backends.toml")
BACKENDS = ("torch", "tensorflow", "jax")  # whoever is first makes the states
DTYPES = ("float32", "float64")
DEFECTIVE = "torch"
UNITS = {"mixed_float16": 2.0**-11, "mixed_bfloat16": 2.0**-8}
DEFECTS = {  # case: the first quantity that departs
    "cnn_bn:bn_epsilon": "output/normal",
    "cnn_bn:bn_momentum": "weight/sequential/normal/moving_mean",
    "cnn_bn:wrong_gradient": "gradient/sequential/normal/beta",
    "cnn_bn:state_not_updated": "weight/sequential/normal/moving_mean",
    "attention:ln_epsilon": "output/layer_normalization",
    "norms:ln_epsilon": "output/layer_normalization",
    "attention:gelu_tanh": "output/dense",
    "dense_adam:adam_epsilon": "update/sequential/hidden/kernel",
    "masked_bigru:mask_ignored": "output/bidirectional",
    "two_outputs:loss_weight": "loss",
    "dict_inputs:constant_in_float32": "output/activation",
}
KNOWN = {  # what Keras itself computes otherwise: the backend, and the first such quantity
    # the gradient goes through a state that is set and read in one call, on JAX alone
    "ops_layer": ("jax", "gradient/sequential/dense/bias"),
    # the gradients of a word that recurs are not added up before they are squared
    "embedding_adam": ("tensorflow", "slot/adam/sequential_embedding_embeddings_velocity"),
}
KERNELS = {f"attention:kernel_1e-{digits}": "output/dense" for digits in (4, 5, 6)}


def trace(folder, backend, dtype, cases):
    """Trace cases in a backend's environment; return a line each."""
    known = CONFIG.backends[backend]
    variables = launch.worker_variables(known, "cpu", "auto")
    variables |= {"KERAS_HOME": str(folder / "keras"), "CUDA_VISIBLE_DEVICES": ""}
    command = [str(launch.interpreter_of(backend, known, ROOT).path), "-m", "tests.zoo.traced"]
    done = subprocess.run(
        [*command, str(folder), dtype, *cases],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == len(cases), done.stderr[-2000:]
    return {line["case"]: line for line in lines}


def trace_all(folder, clean, defective=(), at_once=1):
    """Trace clean cases everywhere, and defective ones on one backend; return lines by run.

    After the first run, which makes the states, that many run at once.
    """

    def run(key):
        return trace(folder, *key, [*clean, *(defective if key[0] == DEFECTIVE else ())])

    first, *rest = [(backend, dtype) for dtype in DTYPES for backend in BACKENDS]
    lines = {first: run(first)}
    with ThreadPoolExecutor(at_once) as pool:
        return lines | dict(zip(rest, pool.map(run, rest), strict=True))


def read(folder, backend, dtype, case):
    """Return the quantities of a case, {} where it crashed."""
    file = folder / f"{backend}-{dtype}" / f"{case.replace(':', '-')}.npz"
    if not file.exists():
        return {}
    with np.load(file) as archive:
        return dict(archive)


def judge(folder, case):
    """Return the judgement of a case at each state, its defect on one backend."""
    name = case.partition(":")[0]
    cases = {backend: case if backend == DEFECTIVE else name for backend in BACKENDS}
    runs = {
        dtype: {backend: read(folder, backend, dtype, each) for backend, each in cases.items()}
        for dtype in DTYPES
    }
    runs = {dtype: {key: each for key, each in of.items() if each} for dtype, of in runs.items()}
    states = dict.fromkeys(
        key.partition("/")[0] for arrays in runs["float64"].values() for key in arrays
    )
    found = {}
    for state in states:
        exact, rounded = (
            {key: strip_prefix(state, arrays) for key, arrays in runs[dtype].items()}
            for dtype in ("float64", "float32")
        )
        unit = UNITS.get(name, 2.0**-24)
        found[state] = judge_model(exact, rounded, 7 if state.startswith(BATCH) else 16, unit)
    return found


def print_case(case, judgements, lines):
    """Print what a case came to."""
    everything = [one for each in judgements.values() for one in each.mathematics]
    worst = max((one for one in everything if one.error < np.inf), key=lambda one: one.error)
    outputs = [
        one
        for each in judgements.values()
        for one in each.kernels
        if kind_of(one.quantity) in OUTPUTS
    ]
    widest = max(outputs, key=lambda one: one.ratio if one.error > 8 * one.unit else 0)
    print(f"{case:32} {worst.error:.1e} {worst.quantity}; float32: {describe(widest)}")
    for state, each in judgements.items():
        apart = sorted(
            (one for one in each.mathematics if one.state != "agree"), key=lambda one: not one.apart
        )
        for one in apart[:1]:  # what departs, before what rounding leaves undecided
            size = f"{one.departure:.1e}, {one.departure / one.gate:.0e} x the gate"
            print(f"{'':8}{state}: {one.state} {one.apart} {one.quantity} {size} {one.explanation}")
        for one in [one for one in each.kernels if one.departs][:1]:
            print(f"{'':8}{state}: kernel departs: {describe(one)}")
        for one in each.remarks[:1]:
            print(f"{'':8}{state}: remark: {describe(one)}")
        if each.amplified:
            print(f"{'':8}{state}: amplifies: {describe(each.amplified)}")
    for run, known in lines.items():
        line = known.get(case) or {}
        if line.get("error") or line.get("short"):
            print(f"{'':8}{run}: {line['error']} {line['short'][:4]}")


def describe(one):
    """Return what float32 adds to a quantity."""
    return f"{one.ratio:.1f} x, {one.error:.1e} {one.backend} {one.quantity}"


def is_as_expected(case, judgements):
    """Return whether a clean case agrees, and a defective one departs first where it must."""
    first = next(iter(judgements.values()))
    if case in DEFECTS:
        found = first.first_departure(DEFECTIVE)
        return found is not None and found.quantity == DEFECTS[case]
    wrong = [one for each in judgements.values() for one in each.mathematics if one.apart]
    kernels = [one for each in judgements.values() for one in each.kernels if one.departs]
    if case in KERNELS:
        found = first.first_kernel(DEFECTIVE)
        return not wrong and found is not None and found.quantity == KERNELS[case]
    if case in KNOWN:
        return wrong and wrong[0].apart == KNOWN[case][:1] and wrong[0].quantity == KNOWN[case][1]
    return not wrong and not kernels


def main(*given):
    """Trace the zoo, or the models named, and print the table; a path keeps what was traced.

    Exits with 1 where it is not as expected.
    """
    kept = [Path(each) for each in given if "/" in each]
    names, clean = all_names(), [each for each in given if "/" not in each]
    if unknown := [each for each in clean if each not in names]:
        sys.exit(f"expected some of {', '.join(names)}; received {', '.join(unknown)}")
    clean = clean or [*names]
    defective = [case for case in (*DEFECTS, *KERNELS) if case.partition(":")[0] in clean]
    wrong = []
    with tempfile.TemporaryDirectory() as made:
        folder = kept[0] if kept else Path(made)
        lines = trace_all(folder, clean, defective)
        for case in [*clean, *defective]:
            judgements = judge(folder, case)
            print_case(case, judgements, lines)
            wrong += [] if is_as_expected(case, judgements) else [case]
    for (backend, dtype), known in lines.items():
        print(backend, dtype, f"{sum(line['cpu_s'] for line in known.values()):.1f} s of CPU time")
    if wrong:
        sys.exit(f"not as expected: {', '.join(wrong)}")


def all_names():
    """Return the zoo's names, read without Keras."""
    import ast

    tree = ast.parse((ROOT / "tests" / "zoo" / "models.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [node.args[0].id for node in calls if getattr(node.func, "id", "") == "Entry"]
    return dict.fromkeys([*names, "sample_weight", "class_weight"])


if __name__ == "__main__":
    parts = {"applications": applications, "defects": found, "nulls": nulls}
    if sys.argv[1:2] and sys.argv[1] in parts:
        parts[sys.argv[1]].main(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
