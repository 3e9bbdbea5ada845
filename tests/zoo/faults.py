"""Arms with a fault planted, each of which a proof must catch: a model of the zoo that has what
the fault spoils, and how it is trained.
"""

from unittest import mock

import keras

from harness.worker.arms.train_step import arm as arms
from harness.worker.arms.train_step import proof
from harness.worker.arms.train_step.batches import first_batch


def without_add_loss(model, given, batch_size, arm):
    with mock.patch.object(keras.layers.Layer, "add_loss", return_value=None):
        return proof.train(model, given, batch_size, arm)


def without_sample_weight(model, given, batch_size, arm):
    return proof.train(model, {"x": given["x"], "y": given["y"]}, batch_size, arm)


def rate_once_an_epoch(model, given, batch_size, arm):
    optimizer = model.optimizer
    n_updates = -(-len(given["y"]) // batch_size)
    schedule = type(optimizer._learning_rate)
    call = schedule.__call__

    def at_begin(self, step):
        return call(self, step // n_updates * n_updates)

    with mock.patch.object(schedule, "__call__", at_begin):
        return proof.train(model, given, batch_size, arm)


def without_ema(model, given, batch_size, arm):
    with mock.patch.object(arms, "finish", lambda state: state):
        return proof.train(model, given, batch_size, arm)


def metrics_kept(model, given, batch_size, arm):
    with mock.patch.object(type(model), "reset_metrics", return_value=None):
        return proof.train(model, given, batch_size, arm)


def without_short_batch(model, given, batch_size, arm):
    n = len(given["y"]) // batch_size * batch_size
    cut = {name: value[:n] for name, value in given.items()}
    return proof.train(model, cut, batch_size, arm)


def frozen_normalisation(model, given, batch_size, arm):
    model.get_layer("normal").momentum = 1.0
    return proof.train(model, given, batch_size, arm)


def wrong_output_weight(model, given, batch_size, arm):
    model._compile_loss._user_loss_weights["size"] = 1.0
    return proof.train(model, given, batch_size, arm)


def repeated_masks(model, given, batch_size, arm):
    place, epoch = arms.place(arms.samples(given)), arms.train_epoch
    model._symbolic_build(data_batch=first_batch(place, batch_size))
    states = [each for each in model.non_trainable_variables if "seed" in each.path]
    first = [keras.ops.convert_to_numpy(each) for each in states]

    def repeated(state, data):
        keras.utils.set_random_seed(proof.SEED)
        for variable, value in zip(states, first, strict=True):
            variable.assign(value)
        return epoch(state, data)

    with mock.patch.object(arms, "train_epoch", repeated):
        return proof.train(model, given, batch_size, arm)


FAULTS = {
    "loss without add_loss": ("add_loss", without_add_loss),
    "sample weight dropped": ("sample_weight", without_sample_weight),
    "rate read once an epoch": ("schedule_adam", rate_once_an_epoch),
    "EMA skipped": ("ema", without_ema),
    "metrics not reset": ("dense_adam", metrics_kept),
    "short batch dropped": ("dense_adam", without_short_batch),
    "BatchNorm frozen": ("cnn_bn", frozen_normalisation),
    "wrong output weight": ("two_outputs", wrong_output_weight),
    "dropout masks repeated": ("dropout", repeated_masks),
}
