"""In a backend's environment: are the outputs that an update keeps those of a program of their own?

`python -m tests.backend.kept MODEL...` writes a line of JSON for each model of the zoo, in float64.
"""

import json
import sys

import keras
import numpy as np

from harness.worker import float64
from harness.worker.draws import OutsideDraws
from harness.worker.model_states import open_program
from harness.worker.user_program import trace_quantities
from tests.zoo.models import ZOO
from tests.zoo.traced import batches


def look(name):
    """Return how far outputs in training differ, and which of them an update keeps."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    draws = OutsideDraws(seed=0)
    draws.install()
    batch = float64.widen(batches(ZOO[name])["whole"])
    program = open_program(ZOO[name].build(), batch, draws)
    program.instrument()
    given = program.weights()
    traced = trace_quantities(program, given, batch)
    kept = program.kept.read()
    program.reset(given)
    own = program.outputs["training output"].read(batch)
    found = {each: traced[f"training output/{each}"] for each in own}
    off = [np.max(np.abs(found[each].astype(float) - own[each])) for each in own]
    return {"model": name, "kept": list(kept), "expected": list(own), "off": float(np.max(off))}


if __name__ == "__main__":
    float64.compute_in_float64()
    for each in sys.argv[1:]:
        print(json.dumps(look(each)), flush=True)
