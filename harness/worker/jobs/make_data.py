"""A user's data, made once: their function is called, and what it returns is written as bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from harness.errors import DataError, Refused
from harness.job.asked import MakeData
from harness.job.machine import free_memory_bytes
from harness.job.made import MadeData
from harness.spec.data.own_folder import write
from harness.worker.user_data.arguments import read_data
from harness.worker.user_data.pipelines import Bounds
from harness.worker.user_inputs import call_function


def make(job: MakeData, say: Callable[..., None], *_: Any) -> MadeData:
    """Write the data into a folder of its own in the job's, and return its digest.

    Args:
        job: the function, and how much of its data is wanted.
        say: is called with what is being done.

    Raises:
        Unusable: no backend could train on the data.
        Refused: they cannot be made here.
    """
    most_bytes = free_memory_bytes() // 3 if job.most_bytes is None else job.most_bytes
    keras.utils.set_random_seed(job.seed)
    say(phase=job.data.name)
    given = call_function(job.data)
    bounds = Bounds(
        where=job.data.name,
        file=job.data.file,
        most_bytes=most_bytes,
        limit_s=job.read_limit_s,
        limit_batches=job.limit_batches,
        batch_size=job.batch_size,
        say=lambda doing: say(phase=f"{job.data.name}: {doing}"),
    )
    try:
        folder = write(job.folder, read_data(given, bounds))
    except DataError as error:
        raise Refused(str(error)) from None
    return MadeData(sha256=folder.name)
