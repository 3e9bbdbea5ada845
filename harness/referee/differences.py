"""Where an implementation is documented to compute something else, and is held to that."""

from __future__ import annotations

from collections.abc import Mapping

from harness.referee.oracle import Loss
from harness.spec.config import Spec
from harness.spec.frozen import Option

LOOKS_THROUGH_SOFTMAX = {
    # Keras 3.15, backend/tensorflow/nn.py: from a softmax's output it goes back to the logits, and
    # never clips.
    ("tensorflow", "keras_fit"),
    ("tensorflow", "compiled.tensorflow"),
    ("tensorflow", "native.tensorflow"),
}
# Keras 3.15, torch_optimizer.py: the module of its optimizers there, under which they are saved.
TORCH_OPTIMIZERS = "keras.src.backend.torch.optimizers"
BY_OPTION = {
    ("naive.tensorflow", "operations", "keras"),
    *((f"native.{each}", "flavour", "idiomatic") for each in ("tensorflow", "jax", "torch")),
}


def documented_loss(spec: Spec, framework: str, module: str, options: Mapping[str, Option]) -> Loss:
    """Return the form of cross-entropy that an arm is documented to compute.

    Args:
        spec: its loss form.
        framework: the arm's.
        module: the arm's.
        options: the arm's.
    """
    if spec.loss_form == "logits":
        return "logits"
    by_option = any((module, name, value) in BY_OPTION for name, value in options.items())
    return "unclipped" if by_option or (framework, module) in LOOKS_THROUGH_SOFTMAX else "probs"


def has_own_slots(options: Mapping[str, Option]) -> bool:
    """Return whether an arm has its framework's own optimizer, whose slots cannot be set.

    Such an arm is checked from its first update only.
    """
    return options.get("flavour") == "idiomatic"


def is_unportable(saved_by: str, loaded_by: str, form: str, error: str) -> bool:
    """Return whether a file is documented to load only where its optimizer's class is named.

    Args:
        saved_by: the framework that saved it.
        loaded_by: the framework that could not load it.
        form: ".keras" or ".weights.h5".
        error: what Keras said.
    """
    foreign = (saved_by, form) == ("torch", ".keras") and loaded_by != "torch"
    return foreign and TORCH_OPTIMIZERS in error
