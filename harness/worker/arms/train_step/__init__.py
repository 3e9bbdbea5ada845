"""Arms of any compiled Keras model, by the model's own `train_step`: nothing is written again.

`keras` is `fit`; `lean` calls train_step in a plain loop, with the data on the device; `compiled`
makes one program of an epoch (JAX, TensorFlow) or of an update (PyTorch). Regularisers, add_loss,
loss weights, sample weights, metrics and a train_step of the user's own come for nothing. A module
for each framework has the same functions:

place(data) -> the arrays on the device; lean(model, data, batch_size) and compiled(model, data,
batch_size) -> a function of the placed data that trains an epoch of full batches and a short one.
"""

from harness.worker.arms.train_step.verbs import (
    build,
    epoch,
    evaluate,
    export,
    facts,
    place,
    wait,
)

__all__ = ["build", "epoch", "evaluate", "export", "facts", "place", "wait"]
