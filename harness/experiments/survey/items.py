"""Entries of the catalogue -> items that a worker computes: Python text, inputs included."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from harness.experiments.survey.catalogue import Catalogue, Entry, Program
from harness.job.asked import SurveyItem

SHAPE = re.compile(
    r"(?:(?P<low>-?[\d.]+?)\.\.(?P<high>-?[\d.]+) |(?P<kind>int \d+|bool|bits|mask|probs) )?"
    r"(?P<shape>\d+(?:,\d+)*)"
)
EXTREME = "np.float32([-1e4, -100, -20, -2, -1e-8, 0, 1e-8, 0.5, 2, 20, 100, 1e4])"
NONFINITE = "np.float32([np.nan, np.inf, -np.inf, -0.0, 1, -1])"
FLOAT64 = ("keras.config.set_floatx('float64')", "keras.config.set_dtype_policy('float64')")
WEIGHTS = (  # the same on every backend, whatever an initializer draws there
    "for w in sorted(layer.weights, key=lambda w: w.path):",
    "    v = np.float32(rng.uniform(-0.5, 1, w.shape))",
    "    'float' in w.dtype and w.assign(abs(v) if 'variance' in w.path else v)",
)


def make_items(catalogue: Catalogue) -> tuple[SurveyItem, ...]:
    """Return every item of a catalogue, in its order."""
    made: list[tuple[str, str, Entry | Program, str]] = []  # name, subject, source, variation
    for entry in catalogue.entries:
        name = f"{entry.subject} {entry.number}"
        made += [(name, entry.subject, entry, "")]
        made += [
            (f"{name}, {variation}", entry.subject, entry, variation)
            for variation in entry.variations
            if _can_vary(entry, variation)
        ]
    made += [(each.name, each.name.partition(" ")[0], each, "") for each in catalogue.programs]
    return tuple(_item(number, *each) for number, each in enumerate(made))


def _can_vary(entry: Entry, variation: str) -> bool:
    """Return whether an entry's inputs are of the kind that a variation replaces."""
    shapes = [SHAPE.fullmatch(text) for text in entry.inputs]
    if variation in ("single", "empty"):
        return bool(shapes) and all(shapes)
    if variation == "float64":
        return True
    return bool(shapes) and all(each and not each["kind"] for each in shapes)


def _item(
    number: int, name: str, subject: str, source: Entry | Program, variation: str
) -> SurveyItem:
    seed = zlib.crc32(name.partition(",")[0].encode()) % 10_000  # float64's is that of float32
    first: tuple[str, ...] = FLOAT64 if variation == "float64" else ()
    if isinstance(source, Program):
        setup, call, derive = source.setup, source.call, False
    else:
        setup, call, derive = _text_of(source)
    return SurveyItem(
        name=name,
        subject=subject,
        number=number,
        seed=seed,
        inputs=tuple(_expressions(source.inputs, variation)),
        setup=(*first, *setup),
        call=call,
        derive=derive and variation != "nonfinite",
        elementwise=variation in ("extreme", "nonfinite"),
    )


def _text_of(entry: Entry) -> tuple[tuple[str, ...], str, bool]:
    """Return an entry's setup and call, and whether gradients mean something."""
    what = f"{entry.subject}({entry.arguments})"
    is_class = entry.name[0].isupper()
    if not is_class or entry.module in ("activations", "ops", "ops.image"):
        return (), what, entry.module not in ("metrics", "constraints")
    match entry.module:
        case "layers":
            then = [entry.then] if entry.then else []
            first = f"y = layer({entry.call}, training=False)"
            made = (f"layer = {what}", *then, first, *WEIGHTS)
            return made, f"layer({entry.call}, training=training)", True
        case "metrics":
            update = f"m.update_state({entry.call})"
            state = "[m.result(), *[v.value for v in m.variables]]"
            return (f"m = {what}", update, update), state, False
        case "optimizers":
            setup = (
                "v = [keras.Variable(x) for x in (x0, x1)]",
                f"o = {what}",
                "o.build(v)",
                "for g in [(x2, x3), (x4, x5), (x6, x7)]:",
                "    o.apply([ops.convert_to_tensor(a) for a in g], v)",
            )
            state = "[w.value for w in [*v, *sorted(o.variables, key=lambda w: w.path)]]"
            return setup, state, False
        case "optimizers.schedules":
            return (f"s = {what}",), "[s(n) for n in (0, 1, 2, 5, 7, 10, 17, 100)]", False
    return (), f"{what}({entry.call})", entry.module in ("losses", "regularizers")


def _expressions(inputs: tuple[str, ...], variation: str) -> Iterator[str]:
    """Yield each input as an expression of NumPy."""
    for position, text in enumerate(inputs):
        if variation in ("extreme", "nonfinite"):
            first = EXTREME if variation == "extreme" else NONFINITE
            yield f"np.roll(x0, {position})" if position else first
            continue
        size = {"single": "1", "empty": "0"}.get(variation)
        given = _resize(text, _first(inputs[0]), size) if size else text
        expression = _expression(given)
        yield f"np.float64({expression})" if _widens(expression, variation) else expression


def _widens(expression: str, variation: str) -> bool:
    return variation == "float64" and expression.startswith("np.float32")


def _first(text: str) -> str:
    """Return the size of an input's first axis."""
    found = SHAPE.fullmatch(text)
    return found["shape"].partition(",")[0] if found else ""


def _resize(text: str, batch: str, size: str) -> str:
    """Return an input with another batch size; as it is where its first axis is another one."""
    before, space, shape = text.rpartition(" ")
    first, comma, rest = shape.partition(",")
    return f"{before}{space}{size}{comma}{rest}" if first == batch else text


def _expression(text: str) -> str:
    if text.startswith("=="):
        return text[2:]
    if text.startswith("="):
        return f"np.float32({text[1:]})"
    found = SHAPE.fullmatch(text)
    if found is None:
        raise ValueError(f"catalogue.toml: expected a shape or an expression; received {text!r}")
    axes = tuple(map(int, found["shape"].split(",")))
    if found["kind"]:
        return _of_kind(found["kind"], axes)
    low, high = found["low"] or "-2", found["high"] or "2"
    return f"np.float32(rng.uniform({low}, {high}, {axes}))"


def _of_kind(kind: str, shape: tuple[int, ...]) -> str:
    """Return an expression of whole numbers, truths, masks or rows that add up to 1."""
    match kind.split():
        case ["int", most]:
            return f"np.int32(rng.integers(0, {most}, {shape}))"
        case ["bool"]:
            return f"rng.random({shape}) < 0.5"
        case ["bits"]:
            return f"np.float32(rng.integers(0, 2, {shape}))"
        case ["mask"]:
            return f"np.arange({shape[-1]}) < {shape[-1]} - np.arange({shape[0]})[:, None]"
    return f"np.float32(rng.dirichlet(np.full({shape[-1]}, 2.0), {shape[:-1]}))"
