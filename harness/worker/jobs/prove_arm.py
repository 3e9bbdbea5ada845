"""Does an arm train a user's model as `fit` does? In float64, on one core, before it is timed.

On several devices `fit` on one of them is what an arm is held to, `fit` itself among the arms.
"""

from __future__ import annotations

import math
from typing import Any

from harness.job.asked import ProveArm
from harness.job.own_model import Proved
from harness.spec.data.own import NAMES
from harness.spec.data.own_folder import read as read_data
from harness.worker import replicas

N_FULL, N_SHORT, BATCH = 19, 7, 16  # 20 updates an epoch, the last one of a short batch


def prove(job: ProveArm, say: Any, *_: Any) -> Proved:
    """Train the model by `fit` and by the arm, and return how far apart they are.

    Raises:
        Refused: the model cannot be built here, or there are not so many devices.
    """
    if several := job.replicas > 1:
        replicas.announce(job.replicas)  # before Keras is imported
    from harness.worker.float64 import compute_in_float64

    compute_in_float64()
    where = job.framework, job.replicas, job.device
    spread = replicas.prepare(*where) if several else None
    from harness.worker.arms.train_step import proof
    from harness.worker.jobs.own_model import build_whole
    from harness.worker.own_code import named_errors

    say(phase=f"proof of {job.arm}")
    data = read_data(job.dataset)
    size, n_samples = sizes(data.n_samples, job.batch_size, job.replicas)
    given = dict(zip(NAMES, data.take(slice(0, n_samples)), strict=False))
    with named_errors(f"{job.model.name}: training", job.model.file):
        found = proof.prove(
            lambda: build_whole(job.model, proof.SEED, data, size),
            given,
            job.arm,
            size,
            spread=spread,
        )
    return Proved(
        difference=found.difference if math.isfinite(found.difference) else None,
        path=found.path,
        equal=found.equal,
        n_updates=proof.N_EPOCHS * -(-n_samples // size),
        refused=found.refused or "",
        undetermined=found.undetermined,
    )


def sizes(n_samples: int, batch_size: int, n_replicas: int) -> tuple[int, int]:
    """Return the size of a proof's batches, and how many samples an epoch of it has.

    The last batch is short where there are samples for that; the devices divide each batch.

    Args:
        n_samples: that there are.
        batch_size: that is trained with.
        n_replicas: devices, each with a part of each batch.
    """
    least = 2 if n_replicas > 1 else 1  # of a part, so that a batch can be short
    part = max(least, min(batch_size, BATCH) // n_replicas)
    size, short = part * n_replicas, min(max(1, N_SHORT // n_replicas), part - 1) * n_replicas
    n = min(n_samples, N_FULL * size + short) // n_replicas * n_replicas
    return size, n - size + short if short and n > size and n % size == 0 else n
