"""A Keras model whose weights can be reset: one update of it, or all of its quantities.

Nothing runs eagerly: Keras compiles the instrumented model as it compiles `train_on_batch` and
`predict_on_batch` of the model itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.spec.data.arrays import add_prefix
from harness.worker.user_inputs import unflatten

Arrays = dict[str, NDArray[Any]]
N_NAMED = 3  # of many weights


class Program:
    """A model whose weights and optimizer can be reset to where an update begins."""

    def __init__(self, model: Any, variables: dict[str, Any], trainable: list[str]) -> None:
        """Take the model with its weights by name, and build its optimizer."""
        self.model, self.variables, self.trainable = model, variables, trainable
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self.slots = name_slots(model.optimizer)
        self._first_slots = {name: _numpy(variable) for name, variable in self.slots.items()}
        self.gradients: list[Any] = []
        self.outputs: dict[str, LayerOutputs] = {}

    def instrument(self) -> None:
        """From now on, read the output of every layer and the gradients given to the optimizer.

        The optimizer keeps gradients as it keeps its slots, so that a compiled update shows them as
        an eager one does.
        """
        model = self.model
        # **Differs**: what scales a loss is no part of JAX's update; the optimizer inside it is.
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        keep = optimizer.add_variable_from_reference
        self.gradients = [keep(each, name="gradient") for each in model.trainable_variables]
        apply = optimizer.apply

        def keep_and_apply(gradients: Any, *rest: Any, **more: Any) -> Any:
            for kept, one in zip(self.gradients, gradients, strict=True):
                zeros = one is None
                kept.assign(
                    keras.ops.zeros_like(kept) if zeros else keras.ops.convert_to_tensor(one)
                )
            return apply(gradients, *rest, **more)

        optimizer.apply = keep_and_apply
        model.train_function = None  # it was compiled without
        kinds = {"output": False, "training output": True}
        self.outputs = {kind: LayerOutputs(model, training=kinds[kind]) for kind in kinds}

    def weights(self) -> Arrays:
        """Return every weight, of any shape and dtype, by name."""
        return {name: _numpy(variable) for name, variable in self.variables.items()}

    def set_weights(self, given: Arrays) -> None:
        """Set the model's weights, of any shape and dtype, by name, and check that they read back.

        Raises:
            Refused: they do not, to the bit.
        """
        self.reset(given)
        for name, value in self.weights().items():
            if value.astype(given[name].dtype).tobytes() != given[name].tobytes():
                raise Refused(f"weights: {name}: does not read back as it was set")

    def set_slots(self, given: Arrays) -> None:
        """Let updates begin at other slots, of any shape, by name.

        Raises:
            Refused: they are not the optimizer's, by name or shape.
        """
        check_names("slots", self.slots, given)
        self._first_slots = given

    def train(self, batch: Arrays) -> dict[str, Any]:
        """Make one update of a batch, (n, ...) each by place; return what it reports."""
        sides = unflatten("x", batch), unflatten("y", batch), batch.get("sample_weight")
        reported: dict[str, Any] = self.model.train_on_batch(*sides, return_dict=True)
        return reported

    def reset(self, given: Arrays) -> None:
        """Set weights, of any shape and dtype, and optimizer to where an update begins."""
        for name, variable in self.variables.items():
            variable.assign(given[name])
        for name, variable in self.slots.items():
            variable.assign(self._first_slots[name])


def check_names(what: str, variables: Mapping[str, Any], given: Mapping[str, NDArray[Any]]) -> None:
    """Check that arrays of any dtype are those of the variables, by name and shape.

    Args:
        what: they are.
        variables: by name.
        given: by name.

    Raises:
        Refused: they are not.
    """
    own = {name: f"{name} {tuple(variable.shape)}" for name, variable in variables.items()}
    expected = {name: f"{name} {value.shape}" for name, value in given.items()}
    if own != expected:
        missing, extra = _only_in(expected, own), _only_in(own, expected)
        wrong = f"expected {missing or 'none but those'}; received {extra or 'none'}"
        raise Refused(f"{what}: not those of the backend before it: {wrong}")


def _only_in(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Return what only the first one holds: a few of them, and how many more."""
    names = [text for text in one.values() if text not in other.values()]
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return ", ".join(names[:N_NAMED]) + more


def trace_quantities(
    program: Program, given: Arrays, batch: Arrays, *, outputs: bool = True
) -> Arrays:
    """Return the outputs of all layers, and one update with its gradients.

    Args:
        program: an instrumented one.
        given: weights of any shape and dtype, by name.
        batch: (n, ...) each, by place.
        outputs: whether those of the layers are read too, which costs a program of its own.

    Returns:
        By name, of any shape and dtype, in the order of a step. What a weight that is trained
        becomes is its update; one that is not is there itself.
    """
    found: Arrays = {}
    for kind, each in program.outputs.items() if outputs else ():
        program.reset(given)
        values = map(np.asarray, each.predict_on_batch(unflatten("x", batch)))
        found |= add_prefix(kind, dict(zip(each.names, values, strict=True)))
    program.reset(given)
    program.model.reset_metrics()
    found["loss"] = np.asarray(program.train(batch)["loss"], np.float64)
    gradients = dict(zip(program.trainable, map(_numpy, program.gradients), strict=True))
    found |= add_prefix("gradient", {name: gradients[name] for name in reversed(gradients)})
    slots = {name: _numpy(variable) for name, variable in program.slots.items()}
    after = program.weights()
    changes = {name: after.pop(name) - given[name] for name in program.trainable}
    found |= add_prefix("slot", slots) | add_prefix("update", changes)
    return found | add_prefix("weight", after)


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

    @property
    def names(self) -> list[str]:
        """The outputs' names, once it has run."""
        return self.names_cell[0]

    def call(self, x: Any) -> list[Any]:
        """Return the outputs, as `names` has them afterwards."""
        with _outputs(self.inner) as seen:
            output = self.inner(x, training=self.in_training)
        seen |= {f"(model){place}": part for place, part in _parts(output)}
        self.names_cell[0][:] = seen
        return list(seen.values())


@contextmanager
def _outputs(model: Any) -> Iterator[dict[str, Any]]:
    """Read what each layer returns, in the order of the calls."""
    seen: dict[str, Any] = {}
    # by id: a layer that several models share is read once
    layers = {id(layer): (name, layer) for name, layer in leaf_layers(model)}

    def read(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def call_and_read(*rest: Any, **more: Any) -> Any:
            result = call(*rest, **more)
            seen.update({_unused(f"{name}{place}", seen): part for place, part in _parts(result)})
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


def name_slots(optimizer: Any) -> dict[str, Any]:
    """Return an optimizer's variables by their paths, which begin with its name in small letters.

    **Differs**: Keras 3.14 begins them with "SGD", 3.15 with "sgd".
    """
    named = name_variables(optimizer.variables)
    return {name[: name.find("/")].lower() + name[name.find("/") :]: named[name] for name in named}


def name_variables(variables: Any) -> dict[str, Any]:
    """Return variables by their paths."""
    found: dict[str, Any] = {}
    for variable in variables:
        found[_unused(variable.path, found)] = variable
    return found


def _unused(name: str, among: Mapping[str, Any]) -> str:
    """Return the name, or "name#2" and so on where it is taken.

    A layer may be called twice, and two weights may have one path.
    """
    several = itertools.chain([name], (f"{name}#{number}" for number in itertools.count(2)))
    return next(each for each in several if each not in among)


def _parts(structure: Any) -> list[tuple[str, Any]]:
    parts = [part for part in keras.tree.flatten(structure) if part is not None]
    return [(f"[{index}]" if len(parts) > 1 else "", part) for index, part in enumerate(parts)]


def _numpy(tensor: Any) -> NDArray[Any]:
    return np.array(keras.ops.convert_to_numpy(tensor))
