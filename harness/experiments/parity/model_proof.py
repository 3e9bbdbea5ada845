"""The proof of a culprit: single layers, given the inputs that they have on another backend.

A layer is suspected where its output is the first to depart, or where its gradient lies between the
last one that agrees and the first that departs. Both backends compute it alone, in float64, from
the reference's inputs, and its gradient from the same weights of its outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.errors import HarnessError
from harness.experiments.parity.model_evidence import SHAPE, Evidence
from harness.experiments.parity.model_verdict import First
from harness.job.answers import Refusal
from harness.referee.model64 import GATE, OUTPUTS
from harness.referee.quantities import kind_of
from harness.spec.data.arrays import Arrays, distance, strip_prefix

N_TRIED = 8  # layers, at most
MODEL = "(model)"  # the model's own outputs, which are no layer's


def suspects(first: First) -> tuple[str, ...]:
    """Return the layers, by their calls, that may be why a quantity departs; none if no layer is.

    Args:
        first: where a backend departs first.
    """
    kind, _, path = first.comparison.quantity.partition("/")
    called = list(dict.fromkeys(_call_of(name) for name in _paths(first.evidence, OUTPUTS[1])))
    if kind in OUTPUTS:
        return (_call_of(path),) if _call_of(path) in called else ()
    if kind != "gradient":
        return ()
    gradients = list(_paths(first.evidence, "gradient"))
    agreeing = {_owner(each, called) for each in gradients[: gradients.index(path)]}
    own = _owner(path, called)
    if own not in called:
        return ()
    after = called[called.index(own) :]
    end = next(
        (place for place, name in enumerate(after) if place and name in agreeing), len(after)
    )
    return tuple(after[: end + 1][:N_TRIED])


def _paths(evidence: Evidence, kind: str) -> Iterator[str]:
    for one in evidence.mathematics:
        if kind_of(one.quantity) == kind:
            yield one.quantity.partition("/")[2]


def _call_of(path: str) -> str:
    """Return which call of which layer an output is of: "shared#2" of "shared[1]#2"."""
    name, hash_, number = path.partition("#")
    name = name.partition("[")[0]
    return "" if name.startswith(MODEL) else name + hash_ + number


def _owner(path: str, called: Sequence[str]) -> str:
    """Return the layer that a weight is of, by the longest name on its path; "" if none is."""
    parts = path.split("/")
    own = [name for name in called if name.rpartition("/")[2] in parts]
    return max(own, key=lambda name: (len(name), name), default="")


def describe(
    reference: str, files: tuple[Path, Path], layers: Sequence[str], classes: Mapping[str, str]
) -> str:
    """Return what the layers alone say of a backend that departs.

    Args:
        reference: the backend whose inputs they had.
        files: what they came to there, and on the backend that departs.
        layers: by name, in the order of their calls.
        classes: of layers, by name.
    """
    there, here = map(_read, files)
    names = [name for name in layers if strip_prefix(name, there)]
    for kind in ("output", "gradient"):
        for name in names if kind == "output" else reversed(names):
            error, what = _largest(strip_prefix(name, there), strip_prefix(name, here), kind)
            if error > GATE:
                layer = f"{name} ({classes.get(name.partition('#')[0], '?')})"
                return f"given {reference}'s inputs, {layer} alone departs: {what} by {error:.2g}"
    several = ", ".join(names) or "no layer"
    return f"given {reference}'s inputs, {several} alone: the same; what reaches it differs"


def _largest(there: Arrays, here: Arrays, kind: str) -> tuple[float, str]:
    """Return the largest relative difference of a kind, and of what it is."""
    found = [(0.0, "")]
    for name, value in there.items():
        if name.startswith(kind):
            size = float(np.linalg.norm(value.astype(np.float64).ravel()))
            error = distance(value, here.get(name))
            found.append((error / size if size else error, name))
    return max(found)


def _read(file: Path) -> Arrays:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if SHAPE not in name}
    except (OSError, ValueError) as error:
        raise HarnessError(f"{file.name}: cannot be read ({error})") from None


def describe_refusal(reference: str, answer: Refusal) -> str:
    """Return why there is no proof."""
    return f"its layers could not be tried alone with {reference}'s inputs: {answer.reason}"
