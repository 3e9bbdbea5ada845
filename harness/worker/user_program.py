"""A Keras model whose weights can be put back: one update of it, or all of its quantities laid open.

Nothing runs eagerly: what is laid open is compiled by Keras as the model's own `train_on_batch` and
`predict_on_batch` are.
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
from harness.worker.user_inputs import Unusable, nested

Arrays = dict[str, NDArray[Any]]
SOME = 3  # of many names, said in full


class Program:
    """A model whose weights and optimizer can be put back to where they began."""

    def __init__(self, model: Any, variables: dict[str, Any], trainable: list[str]) -> None:
        """Take the model with its weights by name, and build its optimizer."""
        self.model, self.variables, self.trainable = model, variables, trainable
        self.by_sample: set[str] = set()  # quantities with an axis of samples
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self.slots = _named(model.optimizer.variables)
        self._begin = {name: _numpy(variable) for name, variable in self.slots.items()}
        self.handed: list[Any] = []
        self.opened: dict[str, Opened] = {}

    def lay_open(self) -> None:
        """From now on read gradients where they are handed to the optimizer, and the output of every layer.

        The optimizer keeps gradients as it keeps its slots, so that a compiled update shows them as
        an eager one does.
        """
        optimizer = self.model.optimizer
        self.handed = [
            optimizer.add_variable_from_reference(each, name="handed")
            for each in self.model.trainable_variables
        ]
        apply = optimizer.apply

        def tapped(gradients: Any, variables: Any = None) -> Any:
            for kept, one in zip(self.handed, gradients, strict=True):
                kept.assign(
                    keras.ops.zeros_like(kept) if one is None else keras.ops.convert_to_tensor(one)
                )
            return apply(gradients, variables)

        optimizer.apply = tapped
        self.model.train_function = None  # it was compiled without
        self.opened = {
            "output": Opened(self.model, training=False),
            "training output": Opened(self.model, training=True),
        }

    def weights(self) -> Arrays:
        """Return every weight, by name."""
        return {name: _numpy(variable) for name, variable in self.variables.items()}

    def fits(self, given: Arrays) -> None:
        """Set the weights, and read them back.

        Raises:
            Refused: they are not the model's, by name or shape, or do not read back to the bit.
        """
        own = {name: f"{name} {tuple(variable.shape)}" for name, variable in self.variables.items()}
        theirs = {name: f"{name} {value.shape}" for name, value in given.items()}
        if own != theirs:
            lists = [
                [said for said in one.values() if said not in other.values()]
                for one, other in ((own, theirs), (theirs, own))
            ]
            mine, others = (
                ", ".join(one[:SOME]) + (f" and {len(one) - SOME} more" if len(one) > SOME else "")
                for one in lists
            )
            raise Refused(
                f"weights: not those of the backend before it: expected {others or 'none but those'}; received {mine or 'none'}"
            )
        self.set(given)
        for name, value in self.weights().items():
            if value.dtype != given[name].dtype or value.tobytes() != given[name].tobytes():
                raise Refused(f"weights: {name}: does not read back as it was set")

    def set(self, given: Arrays) -> None:
        """Put weights and optimizer where an update begins."""
        for name, variable in self.variables.items():
            variable.assign(given[name])
        for name, variable in self.slots.items():
            variable.assign(self._begin[name])


def program_of(model: Any) -> Program:
    """Return a model as a program whose quantities can be compared.

    Raises:
        Unusable: it computes in something else than float32, or remembers what is no weight.
    """
    named = _named(model.weights)
    for name, variable in named.items():
        if variable.dtype != "float32" and "float" in variable.dtype:
            raise Unusable(f"--model: weight {name}: expected float32; received {variable.dtype}")
    for name, layer in leaves(model):
        if layer.compute_dtype not in ("float32", None):
            raise Unusable(
                f"--model: layer {name}: expected to compute in float32; received {layer.compute_dtype}"
            )
        if getattr(layer, "stateful", False):
            raise Unusable(
                f"--model: layer {name}: stateful: what it remembers of a batch is no weight, and cannot be set"
            )
    paths = {id(variable): name for name, variable in named.items()}
    return Program(model, named, [paths[id(variable)] for variable in model.trainable_variables])


def laid_open(program: Program, given: Arrays, batch: Arrays) -> Arrays:
    """Return the outputs of all layers, and one update with its gradients."""
    found: Arrays = {}
    for kind, opened in program.opened.items():
        program.set(given)
        outputs = opened.predict_on_batch(nested("x", batch))
        found |= {
            f"{kind}/{name}": np.asarray(value)
            for name, value in zip(opened.called[0], outputs, strict=True)
        }
    n_samples = len(next(iter(batch.values())))
    program.by_sample.update(
        name for name, value in found.items() if value.ndim and len(value) == n_samples
    )
    program.set(given)
    after = update(program, batch)
    gradients = dict(zip(program.trainable, map(_numpy, program.handed), strict=True))
    found["loss"] = after.pop("loss")
    found |= {f"gradient/{name}": gradients[name] for name in reversed(program.trainable)}
    slots = {name: value for name, value in after.items() if name.startswith("slot/")}
    updates = {
        f"update/{name}": after[f"weight/{name}"] - given[name] for name in program.trainable
    }
    return (
        found
        | slots
        | updates
        | {name: value for name, value in after.items() if name not in slots}
    )


def update(program: Program, batch: Arrays) -> Arrays:
    """Make one update as the model's own `train_on_batch` does; return its loss, and slots and weights after it."""
    model = program.model
    model.reset_metrics()
    reported = model.train_on_batch(nested("x", batch), nested("y", batch), return_dict=True)
    found = {"loss": np.asarray(reported["loss"], np.float64)}
    found |= {f"slot/{name}": _numpy(variable) for name, variable in program.slots.items()}
    return found | {f"weight/{name}": value for name, value in program.weights().items()}


def leaves(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the layers of a model, and of models inside it, by name; what a layer holds is its own affair."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer, f"{prefix}{layer.name}/")
        else:
            yield f"{prefix}{layer.name}", layer


class Opened(keras.Model):  # type: ignore[misc, unused-ignore]
    """The outputs of all layers of a model, in the order of their calls, and its own: compiled as the model itself would be."""

    def __init__(self, model: Any, *, training: bool) -> None:
        """Take a built model."""
        super().__init__()
        self.inner, self.in_training = model, training
        self.called: tuple[list[str]] = ([],)  # names, once it has run
        self.built = True

    def call(self, x: Any) -> list[Any]:
        """Return the outputs, as `called` names them."""
        with _outputs(self.inner) as seen:
            whole = self.inner(x, training=self.in_training)
        seen |= {f"(model){place}": part for place, part in _parts(whole)}
        self.called[0][:] = seen
        return list(seen.values())


@contextmanager
def _outputs(model: Any) -> Iterator[dict[str, Any]]:
    """Read what each layer returns, in the order of the calls."""
    seen: dict[str, Any] = {}
    tapped = {
        id(layer): (name, layer) for name, layer in leaves(model)
    }  # one that several models share, once

    def tap(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def through(*rest: Any, **more: Any) -> Any:
            result = call(*rest, **more)
            seen.update({_unused(f"{name}{place}", seen): part for place, part in _parts(result)})
            return result

        return through

    for name, layer in tapped.values():
        object.__setattr__(
            layer, "call", tap(name, layer.call)
        )  # past Keras's and torch's own, which would track it
    try:
        yield seen
    finally:
        for _, layer in tapped.values():
            object.__delattr__(layer, "call")


def _named(variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable in variables:
        found[_unused(variable.path, found)] = variable
    return found


def _unused(name: str, among: Mapping[str, Any]) -> str:
    """Return the name, or where it is taken "name#2" and so on: a layer that is called twice, a path that two weights have."""
    several = itertools.chain([name], (f"{name}#{number}" for number in itertools.count(2)))
    return next(each for each in several if each not in among)


def _parts(structure: Any) -> list[tuple[str, Any]]:
    parts = [part for part in keras.tree.flatten(structure) if part is not None]
    return [(f"[{index}]" if len(parts) > 1 else "", part) for index, part in enumerate(parts)]


def _numpy(tensor: Any) -> NDArray[Any]:
    return np.array(keras.ops.convert_to_numpy(tensor))
