"""Inside one backend's environment: trace models of the zoo, in float64 or in their own dtype.

`python -m tests.zoo.traced FOLDER DTYPE CASE...`, where a case is NAME or NAME:DEFECT. For each it
writes NAME-DEFECT.npz, of "state/kind/path", beside a line of JSON: CPU time, short operations. The
states are read from FOLDER/states, or written there by whoever comes first, in its own dtype.
"""

import json
import sys
import time
from pathlib import Path

import keras
import numpy as np

from harness.worker import float64
from harness.worker.draws import OutsideDraws
from harness.worker.model_states import join_states, make_states, open_program, trace_states
from harness.worker.user_inputs import flatten
from tests.zoo import defects, models

N_BATCH, N_SHORT = 16, 7
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
    return {"whole": whole, "short batch": {key: each[N_BATCH:] for key, each in arrays.items()}}


def trace(case, states_file, counts, exact):
    """Return all quantities by state, and the operations that are short."""
    name, _, defect = case.partition(":")
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    entry = ZOO[name]
    given = batches(entry)
    draws = OutsideDraws(seed=0)
    draws.install()
    with defects.planted(defect):
        program = open_program(entry.build(), given["whole"], draws)
        if not states_file.exists():
            np.savez(states_file, **make_states(program, list(given.values()), counts))
            np.savez(states_file.with_suffix(".batch.npz"), **given["whole"])
        with np.load(states_file) as archive:
            states = dict(archive)
        program.instrument()
        if not exact:
            return join_states(dict(trace_states(program, states, given))), []
        wide = {name: float64.widen(batch) for name, batch in given.items()}
        with float64.watch() as short:
            traced = join_states(dict(trace_states(program, float64.widen(states), wide)))
        return traced, short()


def main(folder, dtype, *cases):
    """Trace each case; one that crashes is a line too."""
    exact = dtype == "float64"
    if exact:
        float64.compute_in_float64()
    out = Path(folder) / f"{keras.backend.backend()}-{dtype}"
    out.mkdir(parents=True, exist_ok=True)
    states = Path(folder) / "states"
    states.mkdir(exist_ok=True)
    for case in cases:
        name, _, counts = case.partition("@")
        began = time.process_time()
        line = {"case": name, "short": [], "error": ""}
        where = states / f"{name.partition(':')[0]}.npz"
        updates = [int(each) for each in counts.split(",")] if counts else [0]
        try:
            traced, line["short"] = trace(name, where, updates, exact)
            np.savez(out / f"{name.replace(':', '-')}.npz", **traced)
        except Exception as error:
            line["error"] = f"{type(error).__name__}: {error}"[:500]
        line["cpu_s"] = time.process_time() - began
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
