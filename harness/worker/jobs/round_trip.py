"""The compiled Keras model to a file and back, on whichever backend is set.

Both formats are tried: `save` and `load_model`, `save_weights` and `load_weights`. Every warning is
returned with the file it was given for: where Keras cannot restore an optimizer it warns, skips it,
and continues as if nothing were missing.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.job.answers import LoadedModel, LoadedModels, SavedModel
from harness.job.asked import LoadModels, SavedFile, SaveModel
from harness.spec.data.arrays import add_prefix, load_arrays, strip_prefix
from harness.spec.initializers import initial_weights
from harness.worker.arms import keras_fit
from harness.worker.keras_optimizer import make_optimizer

if TYPE_CHECKING:
    from harness.spec.config import Spec

Arrays = dict[str, NDArray[Any]]
# Ignored as Python ignores them by default: they are about code, not about what it does.
IGNORED = (DeprecationWarning, PendingDeprecationWarning, ResourceWarning)


def save(job: SaveModel, say: Callable[..., None], *_: Any) -> SavedModel:
    """Save the model at a point of training in both formats; return the files, and its state then.

    `say` is called with what is being done.
    """
    say(phase="build")
    point = load_arrays(job.point)
    weights, slots = strip_prefix("weight", point), strip_prefix("slot", point)
    state = keras_fit.build(job.spec, weights, SimpleNamespace())
    model = keras_fit.resume(state, weights, slots, int(point["n_updates"])).model
    model.optimizer.learning_rate = job.learning_rate
    held = job.folder / "held.npz"
    np.savez(held, **read_back(state))  # type: ignore[arg-type]
    files = {form: job.folder / f"model{form}" for form in (".keras", ".weights.h5")}
    say(phase="save")
    with _record_warnings() as warned:
        model.save(files[".keras"])
        model.save_weights(files[".weights.h5"])
    return SavedModel(
        held=str(held),
        configuration=configuration(model),
        warned=tuple(warned),
        files={form: str(file) for form, file in files.items()},
    )


def load(job: LoadModels, say: Callable[..., None], *_: Any) -> LoadedModels:
    """Load saved files, each into a model of its own; return each model's state, or why it failed.

    `say` is called with what is being done.
    """
    loaded = []
    for number, saved in enumerate(job.files):
        say(phase=f"load {saved.form} of {saved.saved_by}")
        held = job.folder / f"held-{number}.npz"
        with _record_warnings() as warned:
            try:
                found = _load(saved, job, held)
            except Exception as error:  # whatever this file does to Keras, the next one is loaded
                found = {"failure": _one_line(error), "configuration": {}}
        loaded.append(
            LoadedModel(saved_by=saved.saved_by, form=saved.form, warned=tuple(warned), **found)
        )
    return LoadedModels(loaded=tuple(loaded))


def _load(saved: SavedFile, job: LoadModels, held: Path) -> dict[str, Any]:
    """Load one file, write the model's state to another, and return what `load` says of it."""
    alone = ""
    if saved.form == ".keras":
        state, alone = _load_model(saved.file, job.spec)
    else:
        state = _load_weights(saved.file, job)
    np.savez(held, **read_back(state))  # type: ignore[arg-type]
    return {"alone": alone, "held": str(held), "configuration": configuration(state.model)}


def read_back(state: keras_fit.State) -> Arrays:
    """Return what a model continues training from, of any shape and dtype, by name.

    These are its weights and, if it is compiled, slots, n_updates and learning_rate.
    """
    found: Arrays = add_prefix("weight", keras_fit.export(state))
    optimizer = getattr(state.model, "optimizer", None)
    if optimizer is not None and optimizer.built:
        found |= add_prefix("slot", keras_fit.slots(state))
        found |= {"n_updates": keras.ops.convert_to_numpy(optimizer.iterations)}
        found |= {"learning_rate": keras.ops.convert_to_numpy(optimizer.learning_rate)}
    return {name: np.array(value) for name, value in found.items()}


def configuration(model: Any) -> dict[str, Any]:
    """Return the settings of each layer and, of a compiled model, of its optimizer and its loss.

    Names are left out, since Keras counts models in them.
    """
    parts = {layer.name: layer for layer in model.layers}
    if getattr(model, "optimizer", None) is not None:
        parts |= {"optimizer": model.optimizer, "loss": model.loss}
    settings = {name: dict(part.get_config()) for name, part in parts.items()}
    for each in settings.values():
        each.pop("name", None)
    return settings


def _load_model(file: str, spec: Spec) -> tuple[keras_fit.State, str]:
    """Return the compiled model in a .keras file, and why `load_model` failed at first, or "".

    In the second try it is given the optimizer's class.

    **Differs**: only on PyTorch, Keras 3.15 puts a class of its own in the place of each optimizer,
    and saves that class's module, which cannot be imported where PyTorch is missing.
    """
    alone = ""
    try:
        model = keras.models.load_model(file)
    except Exception as error:
        known = type(make_optimizer(spec.optimizer))
        try:
            model = keras.models.load_model(file, custom_objects={known.__name__: known})
            alone = _one_line(error)
        except Exception:
            raise error from None  # there was another reason
    return keras_fit.State(model, spec.optimizer, spec.batch_size, lambda: 0), alone


def _load_weights(file: str, job: LoadModels) -> keras_fit.State:
    """Return a compiled model of zeros into which a .weights.h5 file was loaded.

    Zeros show what is not in the file. The optimizer is built, or Keras would skip its slots.
    """
    layers = [(layer.name, layer.units) for layer in job.spec.layers]
    zeros = initial_weights(lambda low, high, shape: np.zeros(shape), job.n_inputs, layers)
    state = keras_fit.build(job.spec, zeros, SimpleNamespace())
    state.model.optimizer.build(state.model.trainable_variables)
    state.model.load_weights(file)
    return state


def _one_line(error: Exception) -> str:
    """Return an error in one line, without the configuration that Keras prints after it."""
    text = " ".join(str(error).split()).partition(" Full object config")[0]
    return f"{type(error).__name__}: {text[:300]}"


class _Listener(logging.Handler):
    """Appends what is logged to a list."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def _record_warnings() -> Iterator[list[str]]:
    """Yield a list that at the end holds every warning of `warnings` and of any logger."""
    messages: list[str] = []
    listener = _Listener(messages)
    logging.getLogger().addHandler(listener)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for category in IGNORED:
                warnings.simplefilter("ignore", category)
            yield messages
        messages += dict.fromkeys(" ".join(str(each.message).split()) for each in caught)
    finally:
        logging.getLogger().removeHandler(listener)
