"""Train every model of the zoo, or of others, by `harness train` itself, as a user would: each arm
on each backend, from a file of its own; then print what came of each cell.

It goes on where it stopped: what the results hold of a model as it is now is not trained again.
"""

import shutil
from pathlib import Path

import harness
from harness.errors import HarnessError
from harness.records import store
from harness.spec.arm_source import digest_sources
from harness.spec.model import split_target

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "backends.toml"
ZOO = Path(__file__).parent
BACKENDS = ("jax", "tensorflow", "torch")
ARMS = ("keras", "lean", "compiled")
FILE = """\
from zoo_models import N_SAMPLES, ZOO


def build():
    return ZOO[{name!r}].build()


def data():
    return ZOO[{name!r}].data(N_SAMPLES) | {{"batch_size": 16}}
"""


def write_models(folder, names):
    """Write a file for each model of the zoo, as a user has one; return them by name."""
    shutil.copy(ZOO / "models.py", folder / "zoo_models.py")
    files = {name: folder / f"{name}.py" for name in names}
    for name, file in files.items():
        file.write_text(FILE.format(name=name))
    return files


def train(targets, folder, backends=BACKENDS, arms=ARMS, python=None):
    """Train each model; return what is known of each cell: a record, or why there is none.

    targets: by name, FILE[:FUNCTION], or that and the FILE:FUNCTION of its data; python: as
    BACKEND=PATH, in place of the backends' own.
    """
    found = {}
    for name, target in targets.items():
        model, data = target if isinstance(target, tuple) else (target, None)
        place, digest = folder / name, digest_sources(Path(split_target(str(model))[0]))
        there = known(place, digest)
        missing = [cell for cell in cells([name], backends, arms) if cell not in there]
        if missing:
            each = [f"{backend}/{arm}" for _, backend, arm in missing]
            options = {"config": CONFIG, "results": place, "epochs": 2, "time_limit": 1800}
            options |= {"python": python}
            try:
                harness.train(model, *each, data=data, rows=True, **options)
            except HarnessError as error:
                found |= dict.fromkeys(missing, str(error))
        found |= known(place, digest)
    return found


def cells(names, backends=BACKENDS, arms=ARMS):
    return [(name, backend, arm) for name in names for backend in backends for arm in arms]


def known(place, digest):
    """The newest record of each cell in a results folder, of the model as its sources are now."""
    return {
        (place.name, record.request.backend, record.request.implementation): record
        for record in store.load_all(place).records
        if record.request.spec.sha256 == digest
    }


def as_table(found, names, backends=BACKENDS, arms=ARMS):
    """A row a model, a column an arm: its epoch's seconds, "lean" in its place, or "no"."""
    columns = [(backend, arm) for backend in backends for arm in arms]
    lines = [f"{'':22}" + "".join(f"{f'{b[:5]} {a[:4]}':>12}" for b, a in columns)]
    lines += [
        f"{name:22}" + "".join(f"{word(found.get((name, *each))):>12}" for each in columns)
        for name in names
    ]
    said = [
        f"{backend}: {name}: {arm}: {sentence}"
        for (name, backend, arm), record in found.items()
        if (sentence := why(record))
    ]
    return "\n".join([*lines, "", *said])


def word(record):
    """One word on a cell."""
    if record is None or isinstance(record, str) or record.status != "ok":
        return "no"
    if by_lean(record):
        return "by lean"
    return f"{record.measured.epochs[-1].seconds:.4f}"


def by_lean(record):
    settings = record.measured.settings
    return record.request.implementation == "compiled" and settings["trained_by"] == "lean"


def why(record):
    """Why a cell has not trained, or not as it was asked; "" where it has."""
    if isinstance(record, str):
        return record
    if record.status != "ok":
        return record.reason
    return record.measured.settings["refused"] if by_lean(record) else ""


def failures(found, names, backends=BACKENDS, arms=ARMS):
    """What falls short, a line each: a cell that did not train, and not by lean either."""
    lost = [cell for cell in cells(names, backends, arms) if cell not in found]
    bad = [f"FAILED {' '.join(cell)}: nothing came of it" for cell in lost]
    return bad + [
        f"FAILED {' '.join(cell)}: {reason}"
        for cell, record in found.items()
        if (reason := why(record)) and word(record) == "no"
    ]


def n_programs(found, backend):
    """How many models are one program on a backend."""
    mine = [
        record for (_, where, arm), record in found.items() if (where, arm) == (backend, "compiled")
    ]
    return sum(word(record) not in ("no", "by lean") for record in mine)
