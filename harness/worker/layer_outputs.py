"""The outputs of all layers of a Keras model: by a program of their own, or in an update itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.worker.user_inputs import unflatten

Arrays = dict[str, NDArray[Any]]


def leaf_layers(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the layers of a model, and of models inside it, by name; not what a layer holds."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaf_layers(layer, f"{prefix}{layer.name}/")
        else:
            yield f"{prefix}{layer.name}", layer


class LayerOutputs(keras.Model):  # type: ignore[misc, unused-ignore]
    """The outputs of all layers of a model, in the order of their calls, and the model's own."""

    def __init__(self, model: Any, *, training: bool) -> None:
        """Take a built model."""
        super().__init__()
        self.inner, self.in_training = model, training
        self.names_cell: tuple[list[str]] = ([],)  # a tuple, which Keras does not track
        self.built = True

    def read(self, batch: Arrays) -> Arrays:
        """Return the outputs of a batch, of any shape and dtype, by name.

        Args:
            batch: (n, ...) each, by place.
        """
        values = map(np.asarray, self.predict_on_batch(unflatten("x", batch)))
        return dict(zip(self.names_cell[0], values, strict=True))

    def call(self, x: Any) -> list[Any]:
        """Return the outputs; their names are known from then on."""
        with _outputs(self.inner) as seen:
            output = self.inner(x, training=self.in_training)
        seen |= _of_model(output)
        self.names_cell[0][:] = seen
        return list(seen.values())


class KeptOutputs:
    """The outputs of all layers in training, as an update itself computes them.

    Each is a variable of the model's while it is trained, as a moving average is, so that no second
    program is compiled for them.
    """

    def __init__(self, model: Any, like: Arrays) -> None:
        """Take a built model, and outputs in inference, of any shape and dtype, by name."""
        self.model = model
        self.variables = {
            name: keras.Variable(_nothing(value), trainable=False, name="kept")
            for name, value in like.items()
        }
        self.are_whole = False  # whether the update that was compiled last has them all

    def read(self) -> Arrays:
        """Return the last update's, of any shape and dtype; none where they are others."""
        return {name: to_numpy(each) for name, each in self.variables.items() if self.are_whole}

    @contextmanager
    def keep(self) -> Iterator[None]:
        """Keep the outputs of the model's first call meanwhile."""
        if not self.variables:
            yield
            return
        call, own = self.model.call, vars(self.model).get("call")
        waiting = [True]

        def call_and_keep(*rest: Any, **more: Any) -> Any:
            if not waiting:
                return call(*rest, **more)
            waiting.clear()
            with _outputs(self.model) as seen:
                output = call(*rest, **more)
            self._assign(seen | _of_model(output))
            return output

        held = self.model._non_trainable_variables
        held += self.variables.values()
        object.__setattr__(self.model, "call", call_and_keep)
        try:
            yield
        finally:
            del held[len(held) - len(self.variables) :]
            object.__delattr__(self.model, "call")
            if own:
                object.__setattr__(self.model, "call", own)

    def _assign(self, seen: Mapping[str, Any]) -> None:
        """Keep outputs, if they are those that were expected, by name, shape and dtype."""
        own, received = map(_kinds, (self.variables, seen))
        self.are_whole = own == received and all(map(keras.ops.is_tensor, seen.values()))
        for name, variable in self.variables.items() if self.are_whole else ():
            variable.assign(seen[name])


def _kinds(values: Mapping[str, Any]) -> list[tuple[str, tuple[int | None, ...], str]]:
    """Return name, shape and dtype of each variable or tensor."""
    standard = keras.backend.standardize_dtype
    return [
        (name, tuple(getattr(each, "shape", ())), standard(getattr(each, "dtype", "bool")))
        for name, each in values.items()
    ]


def _nothing(like: NDArray[Any]) -> NDArray[Any]:
    """Return an array like another, of any shape, without a number in it where it has floats."""
    return np.full_like(like, np.nan if like.dtype.kind in "fV" else 0)


def _of_model(output: Any) -> dict[str, Any]:
    """Return the model's own outputs, by name."""
    return {f"(model){place}": part for place, part in _parts(output)}


@contextmanager
def _outputs(model: Any) -> Iterator[dict[str, Any]]:
    """Read what each layer returns, in the order of the calls."""
    seen: dict[str, Any] = {}
    # by id: a layer that several models share is read once
    layers = {id(layer): (name, layer) for name, layer in leaf_layers(model)}

    def read(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def call_and_read(*rest: Any, **more: Any) -> Any:
            result = call(*rest, **more)
            seen.update({unused(f"{name}{place}", seen): part for place, part in _parts(result)})
            return result

        return call_and_read

    own = [(layer, vars(layer)["call"]) for _, layer in layers.values() if "call" in vars(layer)]
    for name, layer in layers.values():  # object's, since Keras's and torch's would track it
        object.__setattr__(layer, "call", read(name, layer.call))
    try:
        yield seen
    finally:
        for _, layer in layers.values():
            object.__delattr__(layer, "call")
        for layer, call in own:  # one that the user has given to a layer by itself
            object.__setattr__(layer, "call", call)


def unused(name: str, among: Mapping[str, Any]) -> str:
    """Return the name, or "name#2" and so on where it is taken.

    A layer may be called twice, and two weights may have one path.
    """
    several = itertools.chain([name], (f"{name}#{number}" for number in itertools.count(2)))
    return next(each for each in several if each not in among)


def _parts(structure: Any) -> list[tuple[str, Any]]:
    parts = [part for part in keras.tree.flatten(structure) if part is not None]
    return [(f"[{index}]" if len(parts) > 1 else "", part) for index, part in enumerate(parts)]


def to_numpy(tensor: Any) -> NDArray[Any]:
    """Return a copy of a tensor or variable of any shape and dtype."""
    return np.array(keras.ops.convert_to_numpy(tensor))
