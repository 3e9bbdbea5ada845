"""A Keras model whose weights can be reset: one update of it, or all of its quantities.

Nothing runs eagerly: Keras compiles the instrumented model as it compiles `train_on_batch` and
`predict_on_batch` of the model itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.spec.data.arrays import add_prefix
from harness.spec.data.own import NAMES
from harness.worker.layer_outputs import KeptOutputs, LayerOutputs, to_numpy, unused
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
        self._first_slots = {name: to_numpy(variable) for name, variable in self.slots.items()}
        self.gradients: list[Any] = []
        self.outputs: dict[str, LayerOutputs] = {}
        self.kept = KeptOutputs(model, {})

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

    def read_outputs(self, batch: Arrays) -> Arrays:
        """Return the outputs of all layers, of any shape and dtype, by name, once instrumented.

        Updates of such a batch keep those in training from now on, as layers keep moving
        statistics.

        Args:
            batch: (n, ...) each, by place.
        """
        found = self.outputs["output"].read(batch)
        if not self.kept.variables and self._can_keep():
            self.kept = KeptOutputs(self.model, found)
        return found

    def _can_keep(self) -> bool:
        """Return whether an update calls the model once, as Keras's own does.

        **Differs**: what PyTorch compiles cannot keep them.
        """
        is_known = type(self.model).train_step is keras.Model.train_step
        return is_known and not (keras.backend.backend() == "torch" and self.model.jit_compile)

    def weights(self) -> Arrays:
        """Return every weight, of any shape and dtype, by name."""
        return {name: to_numpy(variable) for name, variable in self.variables.items()}

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
        sides = tuple(unflatten(name, batch) for name in NAMES)
        self.model._symbolic_build(data_batch=sides)  # calls the model where a metric is not built
        with self.kept.keep():
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
        outputs: whether those of the layers are read too.

    Returns:
        By name, of any shape and dtype, in the order of a step. What a weight that is trained
        becomes is its update; one that is not is there itself.
    """
    found: Arrays = {}
    if outputs:
        program.reset(given)
        found |= add_prefix("output", program.read_outputs(batch))
    step = _trace_update(program, given, batch)
    if outputs:
        seen = program.kept.read()
        if not seen:  # a program of its own
            program.reset(given)
            seen = program.outputs["training output"].read(batch)
        found |= add_prefix("training output", seen)
    return found | step


def _trace_update(program: Program, given: Arrays, batch: Arrays) -> Arrays:
    """Return the loss, gradients, slots, updates and weights of one update, of any shape."""
    program.reset(given)
    program.model.reset_metrics()
    found: Arrays = {"loss": np.asarray(program.train(batch)["loss"], np.float64)}
    gradients = dict(zip(program.trainable, map(to_numpy, program.gradients), strict=True))
    found |= add_prefix("gradient", {name: gradients[name] for name in reversed(gradients)})
    slots = {name: to_numpy(variable) for name, variable in program.slots.items()}
    after = program.weights()
    changes = {name: after.pop(name) - given[name] for name in program.trainable}
    found |= add_prefix("slot", slots) | add_prefix("update", changes)
    return found | add_prefix("weight", after)


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
        found[unused(variable.path, found)] = variable
    return found
