"""The compiled Keras model to a file and back, on whichever backend is set: `save` and `load_model`, `save_weights` and `load_weights`.

Every warning is handed back with the file it was given for: where Keras cannot restore an optimizer
it warns, skips it, and goes on as if nothing were missing.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.worker import keras_fit
from harness.worker.keras_optimizer import make_optimizer

if TYPE_CHECKING:
    from harness.spec.config import Spec

Arrays = dict[str, NDArray[Any]]
FUTURE = (
    DeprecationWarning,
    PendingDeprecationWarning,
    ResourceWarning,
)  # Python's own defaults: they speak of code, not of what it does


def save(job: Any, say: Callable[..., None]) -> dict[str, Any]:
    """Save the model at a point of training in both formats; return the files, and what the model was when it was saved.

    Args:
        job: spec; point (.npz of weights, slots and n_updates); learning_rate; folder.
        say: told what is being done.
    """
    say(phase="build")
    with np.load(job.point, allow_pickle=False) as archive:
        point = dict(archive)
    weights, slots = _named(point, "weight"), _named(point, "slot")
    state = keras_fit.resume(
        keras_fit.build(job.spec, weights, SimpleNamespace()),
        weights,
        slots,
        int(point["n_updates"]),
    )
    model = state.model
    model.optimizer.learning_rate = job.learning_rate
    held = Path(job.folder) / "held.npz"
    np.savez(held, **read_back(state))  # type: ignore[arg-type]
    files = {
        ".keras": Path(job.folder) / "model.keras",
        ".weights.h5": Path(job.folder) / "model.weights.h5",
    }
    say(phase="save")
    with _heard() as warned:
        model.save(files[".keras"])
        model.save_weights(files[".weights.h5"])
    known = {
        "backend": keras.backend.backend(),
        "held": str(held),
        "configuration": configuration(model),
        "warned": warned,
    }
    return {**known, "files": {form: str(file) for form, file in files.items()}}


def load(job: Any, say: Callable[..., None]) -> dict[str, Any]:
    """Load saved files, each into a model of its own; return for each what that model is, what Keras warned of, or why it failed.

    Args:
        job: spec; n_inputs; files (a list of saved_by, form and file); folder.
        say: told what is being done.
    """
    loaded = []
    for number, saved in enumerate(job.files):
        say(phase=f"load {saved.form} of {saved.saved_by}")
        entry: dict[str, Any] = {
            "saved_by": saved.saved_by,
            "form": saved.form,
            "failure": "",
            "alone": "",
        }
        with _heard() as warned:
            try:
                state, entry["alone"] = (
                    _whole(saved.file, job.spec)
                    if saved.form == ".keras"
                    else (_filled(saved.file, job), "")
                )
                held = Path(job.folder) / f"held-{number}.npz"
                np.savez(held, **read_back(state))  # type: ignore[arg-type]
                entry |= {"held": str(held), "configuration": configuration(state.model)}
            except (
                Exception
            ) as error:  # whatever this file does to Keras, the next one is still loaded
                entry["failure"] = _said(error)
        loaded.append({**entry, "warned": warned})
    return {"backend": keras.backend.backend(), "loaded": loaded}


def read_back(state: keras_fit.State) -> Arrays:
    """Return weights and, of a compiled model, slots, n_updates and learning_rate: what a model goes on training from."""
    found = {f"weight/{name}": np.array(value) for name, value in keras_fit.export(state).items()}
    optimizer = getattr(state.model, "optimizer", None)
    if optimizer is None or not optimizer.built:
        return found
    found |= {f"slot/{name}": value for name, value in keras_fit.slots(state).items()}
    rate = np.array(keras.ops.convert_to_numpy(optimizer.learning_rate))
    return found | {
        "n_updates": np.array(keras.ops.convert_to_numpy(optimizer.iterations)),
        "learning_rate": rate,
    }


def configuration(model: Any) -> dict[str, Any]:
    """Return the settings of each layer, of the optimizer and of the loss, names left out, in which Keras counts models.

    A model that is not compiled has neither of the latter two.
    """
    parts = {layer.name: layer for layer in model.layers}
    if getattr(model, "optimizer", None) is not None:
        parts |= {"optimizer": model.optimizer, "loss": model.loss}
    return {
        name: {key: value for key, value in part.get_config().items() if key != "name"}
        for name, part in parts.items()
    }


def _whole(file: str, spec: Spec) -> tuple[keras_fit.State, str]:
    """Return the compiled model in a .keras file, and why `load_model` could not make it without being told the optimizer's class.

    **Differs**: on PyTorch alone Keras 3.15 puts a class of its own in the place of each optimizer,
    and files that class's module, which cannot be imported where PyTorch is not.
    """
    alone = ""
    try:
        model = keras.models.load_model(file)
    except Exception as error:
        known = type(make_optimizer(spec.optimizer))
        try:
            model, alone = (
                keras.models.load_model(file, custom_objects={known.__name__: known}),
                _said(error),
            )
        except Exception:
            raise error from None  # it was not for that
    return keras_fit.State(model, spec.optimizer, spec.batch_size, lambda: 0), alone


def _filled(file: str, job: Any) -> keras_fit.State:
    """Return a new model that a .weights.h5 file was loaded into: of zeros, so that whatever is not in it shows, and compiled.

    Its optimizer is built, without which Keras would skip that.
    """
    zeros: dict[str, NDArray[np.float32]] = {}
    n_inputs = job.n_inputs
    for layer in job.spec.layers:
        zeros[f"{layer.name}/kernel"] = np.zeros((n_inputs, layer.units), np.float32)
        zeros[f"{layer.name}/bias"] = np.zeros(layer.units, np.float32)
        n_inputs = layer.units
    state = keras_fit.build(job.spec, zeros, SimpleNamespace())
    state.model.optimizer.build(state.model.trainable_variables)
    state.model.load_weights(file)
    return state


def _said(error: Exception) -> str:
    """Return an error in one line, without the configuration that Keras prints after it."""
    return f"{type(error).__name__}: {' '.join(str(error).split()).partition(' Full object config')[0][:300]}"


class _Listener(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.said = said

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Hand out a list that at the end holds every warning given meanwhile, whether by `warnings` or by a logger."""
    said: list[str] = []
    listener = _Listener(said)
    logging.getLogger().addHandler(listener)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for future in FUTURE:
                warnings.simplefilter("ignore", future)
            yield said
        said += dict.fromkeys(" ".join(str(each.message).split()) for each in caught)
    finally:
        logging.getLogger().removeHandler(listener)


def _named(arrays: Mapping[str, NDArray[Any]], kind: str) -> Arrays:
    return {
        name.removeprefix(f"{kind}/"): value
        for name, value in arrays.items()
        if name.startswith(f"{kind}/")
    }
