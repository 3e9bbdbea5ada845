"""Does an arm train a user's model as `fit` does? In float64, on one core, before it is timed."""

from __future__ import annotations

import math
from typing import Any

from harness.job.asked import ProveArm
from harness.job.own_model import Proved
from harness.spec.data.own import NAMES
from harness.spec.data.own_folder import read as read_data
from harness.worker.float64 import compute_in_float64

N_FULL, N_SHORT, BATCH = 19, 7, 16  # 20 updates an epoch, the last one of a short batch


def prove(job: ProveArm, say: Any, *_: Any) -> Proved:
    """Train the model by `fit` and by the arm, and return how far apart they are.

    Raises:
        Refused: the model cannot be built here.
    """
    compute_in_float64()
    from harness.worker.arms.train_step import proof
    from harness.worker.jobs.own_model import build_whole
    from harness.worker.own_code import named_errors

    say(phase=f"proof of {job.arm}")
    data, size = read_data(job.dataset), min(job.batch_size, BATCH)
    n_samples = min(data.n_samples, N_FULL * size + min(N_SHORT, size - 1))
    given = dict(zip(NAMES, data.take(slice(0, n_samples)), strict=False))
    with named_errors(f"{job.model.name}: training", job.model.file):
        found = proof.prove(
            lambda: build_whole(job.model, proof.SEED, data, size), given, job.arm, size
        )
    return Proved(
        difference=found.difference if math.isfinite(found.difference) else None,
        path=found.path,
        equal=found.equal,
        n_updates=proof.N_EPOCHS * -(-n_samples // size),
        refused=found.refused or "",
        undetermined=found.undetermined,
    )
