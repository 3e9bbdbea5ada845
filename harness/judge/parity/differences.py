"""Where an implementation is documented to compute something else, and is held to that."""

from __future__ import annotations

from collections.abc import Mapping

from harness.judge.parity.oracle import Loss
from harness.spec.config import Option, Spec

LOOKS_THROUGH_SOFTMAX = {
    # Keras 3.15, backend/tensorflow/nn.py: from a softmax's output it goes back to the logits, and
    # never clips.
    ("tensorflow", "keras_fit"),
    ("tensorflow", "compiled.tensorflow"),
    ("tensorflow", "native.tensorflow"),
}
TORCH_OPTIMIZERS = "keras.src.backend.torch.optimizers"  # Keras 3.15, torch_optimizer.py: what its optimizers are there, and are filed as
BY_OPTION = {
    ("naive.tensorflow", "operations", "keras"),
    *((f"native.{each}", "flavour", "idiomatic") for each in ("tensorflow", "jax", "torch")),
}


def loss_of(spec: Spec, backend: str, module: str, options: Mapping[str, Option]) -> Loss:
    """Return the form of cross-entropy that an arm is documented to compute."""
    if spec.loss_form == "logits":
        return "logits"
    through = (backend, module) in LOOKS_THROUGH_SOFTMAX or any(
        (module, name, value) in BY_OPTION for name, value in options.items()
    )
    return "unclipped" if through else "probs"


def begins_anew(options: Mapping[str, Option]) -> bool:
    """Say whether an arm has its framework's own optimizer, whose memory cannot be set: it is checked from its first update only."""
    return options.get("flavour") == "idiomatic"


def unportable(saved_by: str, loaded_by: str, form: str, error: str) -> bool:
    """Say whether a file is documented to need the optimizer's class to be named when it is loaded, and failed for that reason."""
    return (
        (saved_by, form) == ("torch", ".keras")
        and loaded_by != "torch"
        and TORCH_OPTIMIZERS in error
    )
