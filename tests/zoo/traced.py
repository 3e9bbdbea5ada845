"""Inside one backend's environment: trace models of the zoo, in float64 or in their own dtype.

`python -m tests.zoo.traced FOLDER DTYPE[+WAY] CASE...`, where a case is NAME or NAME:DEFECT. For
each it writes NAME-DEFECT.npz, of "state/kind/path", beside a line of JSON: CPU time, short
operations. The states are read from FOLDER/states, or written there by whoever comes first, in its
own dtype. A way is one of `tests.zoo.nulls`: the same model, computed otherwise. With the way
"orders" the same program computes the batch as it is, and in each other order.
"""

import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np

from harness.spec.data.arrays import add_prefix
from harness.worker import float64
from harness.worker.draws import OutsideDraws
from harness.worker.model_states import make_states, open_program, plain_dtypes, trace_states
from harness.worker.user_inputs import flatten
from tests.zoo import defects, models

N_BATCH, N_SHORT = 16, 7
SHORT = f"a batch of {N_SHORT}"
OUTPUTS = ("output", "training output")  # kinds of quantities that have a row for each sample
ORDERS = {  # of the rows of a batch
    "reversed": np.arange(N_BATCH)[::-1],
    "shuffled": np.random.default_rng(8).permutation(N_BATCH),
}
ZOO = models.ZOO | {"short_cast": models.Entry(defects.short_cast, models.table)}


def batches(entry):
    """Return the whole batch and the short one, by place."""
    given = entry.data(N_BATCH + N_SHORT)
    weights = given.get("sample_weight")
    if "class_weight" in given:
        weights = np.float32([given["class_weight"][int(label)] for label in given["y"]])
    arrays = flatten("x", given["x"]) | flatten("y", given["y"])
    arrays |= {} if weights is None else {"sample_weight": weights}
    whole = {name: value[:N_BATCH] for name, value in arrays.items()}
    return {"whole": whole, SHORT: {key: each[N_BATCH:] for key, each in arrays.items()}}


def reorder(batches, order):
    """Return batches with their rows in another order."""
    return {
        name: {key: value[order] for key, value in batch.items()} for name, batch in batches.items()
    }


def put_back(traced, order):
    """Return quantities of a batch in another order, outputs in the order that it had before."""
    rows = {
        name: value[np.argsort(order)]
        for name, value in traced.items()
        if name.split("/")[1] in OUTPUTS and value.shape[:1] == (N_BATCH,)
    }
    return traced | rows


def compile_otherwise(model):
    """Let a model be compiled where it would not be, or the reverse."""
    model.jit_compile = not model.jit_compile
    return model


def join_states(traced):
    """Return the quantities of all states under one name each, as NumPy's dtypes."""
    return {
        name: value
        for state, found in traced
        for name, value in add_prefix(state, plain_dtypes(found)).items()
    }


def trace(case, states_file, counts, exact, way=""):
    """Return all quantities by state, for each order of the rows, and the short operations."""
    name, _, defect = case.partition(":")
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    entry = ZOO[name]
    given = batches(entry)
    if way:  # one program less to compile
        del given[SHORT]
    draws = OutsideDraws(seed=0)
    draws.install()
    with defects.planted(defect):
        model = entry.build()
        if way == "jit":
            compile_otherwise(model)
        program = open_program(model, given["whole"], draws)
        if not states_file.exists():
            np.savez(states_file, **make_states(program, list(given.values()), counts))
            np.savez(states_file.with_suffix(".batch.npz"), **given["whole"])
        with np.load(states_file) as archive:
            states = dict(archive)
        program.instrument()
        if exact:
            states = float64.widen(states)
            given = {name: float64.widen(batch) for name, batch in given.items()}
        with float64.watch() if exact else nullcontext(list) as short:
            found = {"": join_states(trace_states(program, states, given))}
            for each, order in ORDERS.items() if way == "orders" else ():
                traced = join_states(trace_states(program, states, reorder(given, order)))
                found[each] = put_back(traced, order)
            return found, short()


def main(folder, dtype, *cases):
    """Trace each case; one that crashes is a line too."""
    precision, _, way = dtype.partition("+")
    exact = precision == "float64"
    if way == "onednn" and keras.backend.backend() == "torch":
        import torch

        torch.backends.mkldnn.set_flags(_enabled=False)
        torch.backends.nnpack.set_flags(_enabled=False)
    if exact:
        float64.compute_in_float64()
    states = Path(folder) / "states"
    states.mkdir(parents=True, exist_ok=True)
    for case in cases:
        name, _, counts = case.partition("@")
        began = time.process_time()
        line = {"case": name, "short": [], "error": ""}
        where = states / f"{name.partition(':')[0]}.npz"
        updates = [int(each) for each in counts.split(",")] if counts else [0]
        try:
            found, line["short"] = trace(name, where, updates, exact, way)
            for order, traced in found.items():
                own = order or way.removeprefix("orders")
                out = Path(
                    folder, f"{keras.backend.backend()}-{precision}{f'+{own}' if own else ''}"
                )
                out.mkdir(exist_ok=True)
                np.savez(out / f"{name.replace(':', '-')}.npz", **traced)
        except Exception as error:
            line["error"] = f"{type(error).__name__}: {error}"[:500]
        line["cpu_s"] = time.process_time() - began
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
