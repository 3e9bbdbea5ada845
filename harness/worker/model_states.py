"""A user's model at several states of its training, each traced from the same weights and slots.

A state is what an update begins at: weights and optimizer's slots, by position, since their order
is the same on every backend. States are made once, by one backend in float32, and given to all:
what differs after them is one update's, and not what a hundred updates made of a first digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.spec.data.arrays import add_prefix, strip_prefix
from harness.worker.draws import OutsideDraws
from harness.worker.user_inputs import unflatten
from harness.worker.user_program import Program, name_variables, trace_quantities

Arrays = dict[str, NDArray[Any]]
COUNTS = (0, 1, 10, 100)


def open_program(model: Any, batch: Arrays, seed: int = 0) -> Program:
    """Return a compiled model of any dtype as an instrumented program that draws from outside.

    Args:
        model: built or not.
        batch: (n, ...) each, by place: the largest that it will be given.
        seed: of what its layers draw.
    """
    pair = unflatten("x", batch), unflatten("y", batch)
    if not model.built or not all(layer.built for layer in model._flatten_layers()):
        model._symbolic_build(data_batch=keras.tree.map_structure(np.asarray, pair))
    OutsideDraws(model, len(next(iter(batch.values()))), seed).install()
    named = name_variables(model.weights)
    paths = {id(variable): name for name, variable in named.items()}
    return Program(model, named, [paths[id(variable)] for variable in model.trainable_variables])


def make_states(
    program: Program, batches: Sequence[Arrays], counts: Sequence[int] = COUNTS
) -> Arrays:
    """Return the states after some numbers of updates, from where the program is now.

    Args:
        program: not instrumented yet, or this is slower.
        batches: of (n, ...) each by place, taken in turn.
        counts: of updates, rising.

    Returns:
        "10/weight/3" and "10/slot/0" and so on: any shape, in float32 where they are floats.
    """
    found: Arrays = {}
    for n_updates in range(counts[-1] + 1):
        if n_updates in counts:
            held = {"weight": program.variables, "slot": program.slots}
            for kind, variables in held.items():
                for place, variable in enumerate(variables.values()):
                    found[f"{n_updates}/{kind}/{place}"] = _narrow(variable)
        if n_updates < counts[-1]:
            batch = batches[n_updates % len(batches)]
            program.train(batch)
    return found


def trace_states(
    program: Program, states: Arrays, batches: Mapping[str, Arrays]
) -> dict[str, Arrays]:
    """Return every quantity of an update, from each state with its first batch, and of others once.

    Args:
        program: instrumented.
        states: of `make_states`, of any shape.
        batches: (n, ...) each by place, by name; the first at every state, the others at the first.

    Returns:
        Quantities of any shape, in the order of a step, by "10 updates" and so on, or by the name
        of the batch.
    """
    counts = list(dict.fromkeys(name.partition("/")[0] for name in states))
    first, *others = batches
    found = {}
    for count in counts:
        given = _begin(program, strip_prefix(count, states))
        found[f"{count} updates"] = trace_quantities(program, given, batches[first])
    given = _begin(program, strip_prefix(counts[0], states))
    return found | {name: trace_quantities(program, given, batches[name]) for name in others}


def join_states(traced: Mapping[str, Arrays]) -> Arrays:
    """Return the quantities of all states, of any shape, under one name each, as NumPy's dtypes."""
    return {
        name: value.astype(np.float32) if value.dtype.kind == "V" else value  # bfloat16
        for state, found in traced.items()
        for name, value in add_prefix(state, found).items()
    }


def _begin(program: Program, state: Arrays) -> Arrays:
    """Let updates begin at a state; return its weights, of any shape, by the program's names."""
    program.set_slots(_name(program.slots, strip_prefix("slot", state), "slots"))
    return _name(program.variables, strip_prefix("weight", state), "weights")


def _name(variables: Mapping[str, Any], given: Arrays, what: str) -> Arrays:
    """Return arrays of any shape by the names of the variables at their positions.

    Raises:
        Refused: they are not as many, or not of these shapes.
    """
    own = [tuple(variable.shape) for variable in variables.values()]
    received = [given[str(place)].shape for place in range(len(given))]
    if own != received:
        raise Refused(f"{what}: expected {received}, as on the backend before it; received {own}")
    return {name: given[str(place)] for place, name in enumerate(variables)}


def _narrow(variable: Any) -> NDArray[Any]:
    value = np.array(keras.ops.convert_to_numpy(variable))
    return value.astype(np.float32) if value.dtype.kind == "f" else value
