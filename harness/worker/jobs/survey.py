"""The survey's two jobs: computing items of its catalogue, and running scripts of what departs.

An item that takes too long, or ends the process, costs only itself: what it is, has been said
before it begins, and what was computed before it is in files.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from harness.job.asked import RunScripts, Survey
from harness.job.surveyed import Printed, Surveyed
from harness.worker import facts
from harness.worker.float64 import compute_in_float64
from harness.worker.survey.compute import Arrays, compute_item
from harness.worker.survey.names import public_names

Say = Callable[..., None]


def survey(job: Survey, say: Say, *_: Any) -> Surveyed:
    """Compute each item into a file of its own, and return what this Keras has.

    Args:
        job: the items, and where their files go.
        say: is called with the name of each item before it begins.

    Raises:
        Refused: Keras computes with another backend.
    """
    framework = facts.keras_framework(job.framework)
    if job.exact:
        compute_in_float64()
    for item in job.items:
        say(phase=item.name)
        faulthandler.dump_traceback_later(job.item_limit_s, exit=True)
        _write(job.folder / f"{item.number}.npz", compute_item(item, exact=job.exact))
    faulthandler.cancel_dump_traceback_later()
    return Surveyed(
        device=framework.devices()[0],
        versions=facts.versions(framework),
        public=public_names(),
    )


def run_scripts(job: RunScripts, say: Say, *_: Any) -> Printed:
    """Return the last line that each script prints, or the error that ends it.

    Args:
        job: the scripts.
        say: is called before each.

    Raises:
        Refused: Keras computes with another backend.
    """
    facts.keras_framework(job.framework)
    lines, failed = [], []
    for number, script in enumerate(job.scripts):
        say(phase=f"script {number + 1} of {len(job.scripts)}")
        printed = io.StringIO()
        floatx = keras.config.floatx()
        try:
            with contextlib.redirect_stdout(printed):
                exec(script, {"__name__": "__main__"})  # noqa: S102 - made from the catalogue
            lines.append((printed.getvalue().splitlines() or [""])[-1])
            failed.append(False)
        except Exception as error:
            lines.append(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
            failed.append(True)
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(floatx)
        keras.backend.clear_session()
    return Printed(lines=tuple(lines), failed=tuple(failed))


def _write(file: Path, found: Arrays) -> None:
    """Write arrays whole or not at all."""
    partial = file.with_suffix(".partial")
    with partial.open("wb") as target:
        np.savez(target, **found)  # type: ignore[arg-type]
    os.replace(partial, file)  # noqa: PTH105
