"""A pipeline of the user's own that feeds `fit` itself: held to the batches that were made once."""

from __future__ import annotations

from typing import Any

import keras

from harness.errors import Refused
from harness.job.asked import Live, Measure
from harness.job.machine import free_memory_bytes
from harness.spec.data.own import NAMES, OwnData, digest_parts
from harness.spec.targets import Target
from harness.worker.arms.train_step.arm import Feed
from harness.worker.user_data.arguments import name_arguments, read_data
from harness.worker.user_data.pipelines import Bounds, kind_of
from harness.worker.user_inputs import Unusable, call_function

FEED = 'feed = "own"'


def open_feed(target: Target, made: OwnData, job: Measure | Live) -> Feed:
    """Return the pipeline that the user's function gives here, once its batches are known.

    It is read once, before the clock: what it gives must be what was made, to the byte.

    Args:
        target: the user's function.
        made: the data as they were made, once for all backends.
        job: the request, whose spec bounds what is read.

    Raises:
        Unusable: it is no pipeline that can be read twice, or has batches of another size.
        Refused: it cannot be had here, or gives other batches here.
    """
    spec: Any = job.request.spec
    where = f"{target.name}: {FEED}"
    bounds = Bounds(
        where=target.name,
        file=target.file,
        most_bytes=free_memory_bytes() // 3,
        limit_s=job.time_limit_s / 2,
        limit_batches=spec.limit_batches,
        batch_size=None,
    )
    keras.utils.set_random_seed(0)  # as where they were made
    given = call_function(target)
    arguments = name_arguments(target.name, given)
    kind = kind_of(arguments["x"])
    if kind in ("", "a generator"):
        received = kind or type(arguments["x"]).__name__
        hint = f"received {received}. Leave {FEED} out"
        raise Unusable(f"{where}: expected a pipeline that can be read again; {hint}")
    found = read_data(given, bounds)
    if found.batch_size != spec.batch_size:
        expected = f"expected batches of {found.batch_size}, the pipeline's own"
        raise Unusable(f"{where}: batch_size: {expected}; received {spec.batch_size}. Leave it out")
    if _digest(found) != _digest(made):
        why = "gives other batches here than where they were made; shuffle by a seed of NumPy's"
        raise Refused(f"{where}: {kind} {why}, or leave {FEED} out")
    return Feed(arguments["x"], arguments.get("class_weight"), spec.limit_batches)


def _digest(data: OwnData) -> str:
    return digest_parts({name: data.parts[name] for name in NAMES if name in data.parts})
