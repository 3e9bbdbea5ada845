"""Runs inside a backend's environment: `python -m tests.zoo.probe PRECISION ARMS MODELS` writes a
line of JSON for each model and arm, as soon as it is known.
"""

import json
import os
import sys
import traceback

if sys.argv[1] == "float64":
    os.environ["JAX_ENABLE_X64"] = "1"

import keras

from harness.worker.arms.train_step import proof
from harness.worker.float64 import compute_in_float64
from tests.zoo import faults, models


def prove(name, arm, precision):
    if name in faults.FAULTS:
        model, train = faults.FAULTS[name]
        entry = models.ZOO[model]
    else:
        entry, train = models.ZOO[name], proof.train
    given = entry.data(models.N_SAMPLES)
    found = proof.prove(entry.build, given, arm, train=train)
    row = {"difference": found.difference, "path": found.path, "refused": found.refused}
    row["undetermined"] = found.undetermined
    if precision == "float32" and arm == "lean":
        row["twin"] = max(proof.twin(entry.build, given).values())
    return row


def main(precision, arms, names):
    if precision == "float64":
        compute_in_float64()
    for name in names.split(","):
        for arm in arms.split(","):
            row = {"backend": keras.backend.backend(), "precision": precision}
            row |= {"model": name, "arm": arm}
            print(json.dumps(row), flush=True)  # begun: what ends the process is this one
            try:
                row |= prove(name, arm, precision)
            except Exception:
                row["error"] = traceback.format_exc()
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)
