"""A user's model at several states of its training, each traced from the same weights and slots.

A state is what an update begins at: weights and optimizer's slots. States are made once, by one
backend in float32, and given to all: what differs after them is one update's, and not what a
hundred updates made of a first digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.spec.data.arrays import strip_prefix
from harness.worker.draws import OutsideDraws
from harness.worker.layer_outputs import leaf_layers
from harness.worker.user_inputs import Unusable, unflatten
from harness.worker.user_program import (
    Program,
    check_names,
    name_variables,
    trace_quantities,
)

Arrays = dict[str, NDArray[Any]]
COUNTS = (0, 1, 10, 100)


def open_program(model: Any, batch: Arrays, draws: OutsideDraws) -> Program:
    """Return a compiled model of any dtype as an instrumented program that draws from outside.

    Args:
        model: built or not.
        batch: (n, ...) each, by place: the largest that it will be given.
        draws: installed before it was built.

    Raises:
        Unusable: a layer remembers what is no weight.
    """
    pair = unflatten("x", batch), unflatten("y", batch)
    if not model.built or not all(layer.built for layer in model._flatten_layers()):
        model._symbolic_build(data_batch=keras.tree.map_structure(np.asarray, pair))
    for name, layer in leaf_layers(model):
        if getattr(layer, "stateful", False):
            why = "what it remembers of a batch is no weight, and cannot be set"
            raise Unusable(f"--model: layer {name}: stateful: {why}")
    draws.open(model, len(next(iter(batch.values()))))
    named = name_variables(model.weights)
    paths = {id(variable): name for name, variable in named.items()}
    return Program(model, named, [paths[id(variable)] for variable in model.trainable_variables])


def make_states(
    program: Program, batches: Sequence[Arrays], counts: Sequence[int] = COUNTS
) -> Arrays:
    """Return the states after some numbers of updates, from where the program is now.

    Args:
        program: whose weights and slots are those of the first state.
        batches: of (n, ...) each by place, taken in turn.
        counts: of updates, rising.

    Returns:
        "10/weight/dense/kernel" and so on, of any shape, in float32 where they are floats.
    """
    found: Arrays = {}
    if program.outputs:  # before an update is compiled, which is to keep such outputs
        program.read_outputs(batches[0])
    for n_updates in range(counts[-1] + 1):
        if n_updates in counts:
            held = {"weight": program.variables, "slot": program.slots}
            for kind, variables in held.items():
                for name, variable in variables.items():
                    found[f"{n_updates}/{kind}/{name}"] = _narrow(variable)
        if n_updates < counts[-1]:
            batch = batches[n_updates % len(batches)]
            program.train(batch)
    return found


def trace_states(
    program: Program, states: Arrays, batches: Mapping[str, Arrays]
) -> Iterator[tuple[str, Arrays]]:
    """Yield every quantity of an update, from each state with its first batch, then of others.

    Args:
        program: instrumented.
        states: of `make_states`, of any shape.
        batches: (n, ...) each by place, by name; the first at every state, each other one at the
            first state, without the outputs of layers.

    Yields:
        "10 updates" and so on, or the name of the batch; quantities of any shape, in the order of
        a step.
    """
    counts = list(dict.fromkeys(name.partition("/")[0] for name in states))
    first, *others = batches
    for count in counts:
        given = begin(program, strip_prefix(count, states))
        yield f"{count} updates", trace_quantities(program, given, batches[first])
    given = begin(program, strip_prefix(counts[0], states))
    for name in others:
        yield name, trace_quantities(program, given, batches[name], outputs=False)


def plain_dtypes(arrays: Arrays) -> Arrays:
    """Return arrays of any shape, bfloat16 as float32, which NumPy can keep."""
    return {
        name: value.astype(np.float32) if value.dtype.kind == "V" else value
        for name, value in arrays.items()
    }


def begin(program: Program, state: Arrays) -> Arrays:
    """Let updates begin at a state; return its weights, of any shape, by name.

    Raises:
        Refused: they are not those of this model, or cannot be set.
    """
    given = strip_prefix("weight", state)
    check_names("weights", program.variables, given)
    program.set_slots(strip_prefix("slot", state))
    program.set_weights(given)
    return given


def _narrow(variable: Any) -> NDArray[Any]:
    value = np.array(keras.ops.convert_to_numpy(variable))
    return value.astype(np.float32) if value.dtype.kind in "fV" else value
