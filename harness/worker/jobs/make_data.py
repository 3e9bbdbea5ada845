"""Stand-in: make a user's data of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.job.asked import MakeData
from harness.job.own_model import MadeData
from harness.spec.data.own import NAMES, OwnData, map_leaves, name_parts
from harness.spec.data.own_folder import write
from harness.worker.user_inputs import Unusable, call_function


def make(job: MakeData, *_: Any) -> MadeData:
    """Make it."""
    found = call_function(job.data)
    given = found if isinstance(found, dict) else dict(zip(NAMES, found, strict=False))
    parts = {name: given[name] for name in NAMES if name in given}
    checked = given.get("validation_data", ())
    parts |= {f"validation_{n}": v for n, v in zip(NAMES, checked, strict=False)}
    parts = {name: map_leaves(np.asarray, each) for name, each in parts.items()}
    leaves = name_parts({name: parts[name] for name in NAMES if name in parts})
    lengths = {name: len(each) for name, each in leaves.items()}
    if len(set(lengths.values())) > 1:
        received = ", ".join(f"{name} {length}" for name, length in lengths.items())
        expected = "expected as many samples in each array"
        raise Unusable(f"{job.data.name}: {expected}; received {received}")
    data = OwnData(parts=parts, batch_size=given.get("batch_size"))
    return MadeData(sha256=write(job.folder, data).name)
