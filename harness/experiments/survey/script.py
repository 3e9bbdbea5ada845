"""A script of at most 15 lines for a departure: Keras alone, one number printed."""

from __future__ import annotations

import re

from harness.experiments.survey.departure import Departure
from harness.experiments.survey.items import FLOAT64, WEIGHTS
from harness.job.asked import SurveyItem

MOST_LINES = 15
MODULES = re.compile(
    r"\b(activations|constraints|initializers|layers|losses|metrics|ops|optimizers|regularizers)\."
)
COMPOUND = re.compile(r" |(for|def|class|with|if) ")
SHORTER = {  # lines of an item, and one line that does the same
    "\n".join(WEIGHTS): "[w.assign((abs if 'variance' in w.path else np.float32)(v)) "
    "for w in sorted(layer.weights, key=lambda w: w.path) "
    "for v in [np.float32(rng.uniform(-0.5, 1, w.shape))] if 'float' in w.dtype]",
    "\n".join(FLOAT64): "; ".join(FLOAT64),
}
GRADIENT = """def total(self, _):
    {x} = self.x * 1; out = keras.tree.flatten({call})
    return ops.reshape(sum(ops.sum(ops.multiply(o, r(n, o))) for n, o in enumerate(out)), (1, 1))
r = lambda n, o: np.float32(np.random.default_rng(n).uniform(0.5, 1.5, o.shape))
held = type('Held', (keras.Layer,), {{'call': total}})(){layer}; held.x = held.add_weight({x}.shape)
held.x.assign({x})
model = keras.Sequential([held]); model.compile(optimizers.SGD(1.0), lambda y, p: ops.sum(p))
model.fit(np.zeros((1, 1)), np.zeros((1, 1)), verbose=0)
print(np.ravel({before} - ops.convert_to_numpy({after}))[{place}])"""


def make_script(item: SurveyItem, one: Departure) -> str:
    """Return a script that shows a departure, to be run with KERAS_BACKEND set.

    Args:
        item: what departs, as it was computed.
        one: the departure.
    """
    training = one.quantity.startswith("training ")
    call = re.sub(r"\btraining=training\b", f"training={training}", item.call)
    inputs = [f"x{number} = {text}" for number, text in enumerate(item.inputs)]
    setup = _shorten("\n".join(item.setup))
    body = _gradient(item, one, call) if one.kind == "gradient" else _forward(item, one, call)
    text = "\n".join([*inputs, *setup, *body])
    used = sorted(set(MODULES.findall(text)))
    lines = ["import keras, numpy as np"]
    lines += [f"from keras import {', '.join(used)}"] if used else []
    lines += [f"rng = np.random.default_rng({item.seed})"] if "rng." in text else []
    return "\n".join(_join([*lines, *inputs, *setup, *body]))


def _shorten(text: str) -> list[str]:
    for lines, line in SHORTER.items():
        text = text.replace(lines, line)
    return text.splitlines()


def _join(lines: list[str]) -> list[str]:
    """Return lines, simple statements together in one where there would be too many."""
    found = list(lines)
    while len(found) > MOST_LINES:
        simple = [not COMPOUND.match(line) for line in found]
        pairs = [at for at in range(1, len(found) - 1) if simple[at] and simple[at + 1]]
        if not pairs:
            break
        at = min(pairs, key=lambda at: len(found[at]) + len(found[at + 1]))
        found[at : at + 2] = [f"{found[at]}; {found[at + 1]}"]
    return found


def _forward(item: SurveyItem, one: Departure, call: str) -> list[str]:
    """Return the call as it was surveyed, and a line that prints what departs."""
    names = [f"x{number}" for number in range(len(item.inputs))]
    start = []
    if names and item.derive and "np.array(['" not in "".join(item.inputs):
        whole = ", ".join(names)
        start = [f"{whole}, = map(ops.convert_to_tensor, ({whole},))"]
    last = one.quantity.rpartition(" ")[2]
    number = int(last) if last.isdigit() else 0
    out = f"out[{number}]"
    if one.what == "input":
        start.append(f"before = {last} + 0")
    printed = {
        "failure": "'no error'",
        "input": f"float(ops.max(ops.abs({last} - before)))",
        "shape": f"tuple({out}.shape)",
        "dtype": f"keras.backend.standardize_dtype({out}.dtype)",
    }.get(one.what)
    if one.kind == "state":
        path = one.quantity.partition("state ")[2]
        out = f"next(w for w in layer.variables if w.path == {path!r})"
    elif one.kind == "loss":
        out = f"layer.losses[{number}]"
    value = f"np.ravel(ops.convert_to_numpy({out}))[{one.place}]"
    return [*start, f"out = keras.tree.flatten({call})", f"print({printed or value})"]


def _gradient(item: SurveyItem, one: Departure, call: str) -> list[str]:
    """Return a model whose weight is the input, and which moves it by its gradient."""
    name = one.quantity.partition("gradient ")[2]
    is_variable = bool(name) and re.fullmatch(r"x\d+", name) is None
    x = "x0" if is_variable or not name else name
    before, after, layer = x, "held.x", ""
    if any(line.startswith("layer = ") for line in item.setup):
        layer = "; held.layer = layer"
    if is_variable:
        layer += f"; w = next(w for w in layer.weights if w.path == {name!r})"
        before, after, layer = "old", "w", f"{layer}; old = ops.convert_to_numpy(w)"
    text = GRADIENT.format(x=x, call=call, layer=layer, before=before, after=after, place=one.place)
    return text.splitlines()
