"""Layers of a user's model alone, in float64, on the inputs that they have on another backend.

The proof of a culprit: a layer that is given the reference's inputs and still gives another output,
or another gradient, is the one that departs; if it gives the same, what reaches it differed.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.job.answers import Computed
from harness.job.asked import TryLayers
from harness.spec.data.arrays import add_prefix, load_arrays, strip_prefix
from harness.worker import facts, float64
from harness.worker.backward import derive
from harness.worker.jobs.user_model import open_user_model
from harness.worker.layer_outputs import leaf_layers
from harness.worker.model_states import begin
from harness.worker.own_code import named_errors
from harness.worker.sketch import shorten
from harness.worker.user_inputs import unflatten

Arrays = dict[str, NDArray[Any]]
Call = tuple[Callable[..., Any], Any]
"""What a layer computes, and the structure of its arguments."""


def try_layers(job: TryLayers, say: Callable[..., None], *_: Any) -> Computed:
    """Write the layers' inputs, if they are not given, and what the layers make of them.

    Args:
        job: which layers of which model, and the files.
        say: is called with what is being done.

    Raises:
        Refused: a layer cannot be tried alone.
    """
    say(phase="import")
    framework = facts.framework_of(job.framework)
    float64.compute_in_float64()
    say(phase="build")
    program, batch = open_user_model(job)
    begin(program, strip_prefix(f"state/{job.state}", load_arrays(job.inputs)))
    say(phase="single layers")
    with named_errors("the model", job.model.file):
        calls = _record(program.model, job, unflatten("x", batch))
        if not job.tensors.is_file():
            _save(job.tensors, {name: _tensors(each) for name, (_, each) in calls.items()})
        given = load_arrays(job.tensors)
        found: Arrays = {}
        layers = dict(leaf_layers(program.model))
        for name, call in calls.items():
            layer = layers[_layer_of(name)]
            found |= add_prefix(name, _try(layer, call, strip_prefix(name, given)))
    np.savez(job.output, **shorten(found))  # type: ignore[arg-type]
    return Computed(versions=facts.versions(framework), device=framework.devices()[0])


def _record(model: Any, job: TryLayers, x: Any) -> dict[str, Call]:
    """Return the calls of the layers that are to be tried, as the model makes them."""
    layers = dict(leaf_layers(model))
    seen: dict[str, int] = {}
    calls: dict[str, Call] = {}

    def read(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def call_and_read(*rest: Any, **more: Any) -> Any:
            seen[name] = seen.get(name, 0) + 1
            text = name if seen[name] == 1 else f"{name}#{seen[name]}"
            if text in job.layers:
                calls[text] = call, (rest, more)
            return call(*rest, **more)

        return call_and_read

    for name in {_layer_of(each) for each in job.layers}:
        if name not in layers:
            raise Refused(f"layer {name}: it is not in the model on this backend")
        object.__setattr__(layers[name], "call", read(name, layers[name].call))
    model(keras.tree.map_structure(keras.ops.convert_to_tensor, x), training=job.training)
    return {name: calls[name] for name in job.layers if name in calls}


def _layer_of(name: str) -> str:
    """Return the layer of a call: "shared" of "shared#2"."""
    return name.partition("#")[0]


def _tensors(arguments: Any) -> Arrays:
    """Return the tensors among arguments, of any shape, by their place."""
    leaves = [each for each in keras.tree.flatten(arguments) if keras.ops.is_tensor(each)]
    return {str(place): keras.ops.convert_to_numpy(each) for place, each in enumerate(leaves)}


def _try(layer: Any, call: Call, given: Arrays) -> Arrays:
    """Return a layer's outputs and gradients, of any shape, for the given inputs.

    Raises:
        Refused: they are not such as it has here.
    """
    function, arguments = call
    leaves = keras.tree.flatten(arguments)
    places = [place for place, each in enumerate(leaves) if keras.ops.is_tensor(each)]
    tensors = _given(layer, [leaves[place] for place in places], given)
    reals = [number for number, each in enumerate(tensors) if _is_real(each)]
    variables = layer.trainable_variables

    def run(values: list[Any]) -> list[Any]:
        every = _put(leaves, places, _put(tensors, reals, values[: len(reals)]))
        rest, more = keras.tree.pack_sequence_as(arguments, every)
        weights = list(zip(variables, values[len(reals) :], strict=True))
        with keras.StatelessScope(state_mapping=weights):
            return list(filter(_is_real, keras.tree.flatten(function(*rest, **more))))

    values = [*map(tensors.__getitem__, reals), *map(attrgetter("value"), variables)]
    outputs = run(values)
    gradients = derive(lambda values: _weigh(run(values)), values) if outputs else []
    sources = [*map("input {}".format, reals), *map(attrgetter("name"), variables)]
    found = {f"output {place}": _numpy(each) for place, each in enumerate(outputs)}
    for source, each in zip(sources, gradients, strict=False):
        if each is not None:
            found[f"gradient of {source}"] = _numpy(each)
    return found


def _given(layer: Any, own: list[Any], given: Arrays) -> list[Any]:
    """Return the given inputs as tensors like a layer's own here."""
    shapes, received = [tuple(each.shape) for each in own], [each.shape for each in given.values()]
    if shapes != received:
        raise Refused(f"{layer.name}: is called with {shapes} here, and with {received} elsewhere")
    dtypes = [each.dtype for each in own]
    return list(map(keras.ops.convert_to_tensor, given.values(), dtypes))


def _put(leaves: list[Any], places: list[int], values: list[Any]) -> list[Any]:
    """Return leaves, with others at some places."""
    every = list(leaves)
    for place, value in zip(places, values, strict=True):
        every[place] = value
    return every


def _weigh(outputs: list[Any]) -> Any:
    """Return the sum of all outputs, each element with its weight, the same on every backend."""
    total = 0.0
    for place, each in enumerate(outputs):
        weights = np.random.default_rng(place).standard_normal(tuple(each.shape))
        total += keras.ops.sum(each * keras.ops.convert_to_tensor(weights, dtype=each.dtype))
    return total


def _is_real(value: Any) -> bool:
    """Return whether a leaf is a tensor of floats, and so has a gradient."""
    return keras.ops.is_tensor(value) and "float" in keras.backend.standardize_dtype(value.dtype)


def _numpy(tensor: Any) -> NDArray[Any]:
    return np.array(keras.ops.convert_to_numpy(tensor))


def _save(file: Path, arrays: dict[str, Arrays]) -> None:
    flat = {f"{name}/{place}": value for name, of in arrays.items() for place, value in of.items()}
    np.savez(file, **flat)  # type: ignore[arg-type]
