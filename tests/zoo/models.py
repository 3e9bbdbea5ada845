"""A zoo of small Keras models, as users write them: each is built, compiled, and has its data.

`build()` needs no arguments and `data(n)` gives what `fit` would be given under its argument names.
Both are deterministic, once the caller has set Keras's seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

N_SAMPLES = 311  # samples of a proof: 19 batches of 16 and one of 7


@dataclass(frozen=True)
class Entry:
    """A model of the zoo, and what it is trained on."""

    build: Callable[[], Any]  # a compiled model
    data: Callable[[int], dict[str, Any]]  # n samples: x, y, sample_weight, class_weight


# ---- data


def table(n: int) -> dict[str, Any]:
    """Return n rows of 12 features, and one of 4 classes each."""
    random = np.random.default_rng(1)
    x = random.standard_normal((n, 12)).astype(np.float32)
    return {"x": x, "y": np.argmax(x[:, :4] + x[:, 4:8], axis=1).astype(np.int32)}


def weighted_table(n: int) -> dict[str, Any]:
    """Return the table with a weight for each row, from 0.2 to 3."""
    weights = np.random.default_rng(2).uniform(0.2, 3, n).astype(np.float32)
    return table(n) | {"sample_weight": weights}


def table_by_class(n: int) -> dict[str, Any]:
    """Return the table with a weight for each class."""
    return table(n) | {"class_weight": {0: 0.5, 1: 1.0, 2: 2.0, 3: 0.25}}


def binary_table(n: int) -> dict[str, Any]:
    """Return the table with one of 2 classes each, (n, 1)."""
    found = table(n)
    return {"x": found["x"], "y": (found["y"] % 2).astype(np.float32)[:, None]}


def two_tables(n: int) -> dict[str, Any]:
    """Return two inputs by name, and one of 4 classes each."""
    found = table(n)
    return {"x": {"left": found["x"][:, :7], "right": found["x"][:, 7:]}, "y": found["y"]}


def two_answers(n: int) -> dict[str, Any]:
    """Return the table with a class and a number each, by the outputs' names."""
    found = table(n)
    return {
        "x": found["x"],
        "y": {"kind": found["y"], "size": found["x"][:, :1] - found["x"][:, 1:2]},
    }


def images(n: int) -> dict[str, Any]:
    """Return n images of 8 x 8 x 3, and one of 4 classes each."""
    random = np.random.default_rng(3)
    x = random.uniform(-1, 1, (n, 8, 8, 3)).astype(np.float32)
    return {"x": x, "y": np.argmax(x[:, 1:5, 2, 0], axis=1).astype(np.int32)}


def words(n: int) -> dict[str, Any]:
    """Return n rows of 8 words out of 20, their ends padded with 0, and one of 4 classes each."""
    random = np.random.default_rng(4)
    x = random.integers(1, 20, (n, 8)).astype(np.int32)
    x[np.arange(8) >= random.integers(4, 9, (n, 1))] = 0
    return {"x": x, "y": (x[:, 0] % 4).astype(np.int32)}


def sequences(n: int) -> dict[str, Any]:
    """Return n sequences of 6 steps and 8 features, and one of 4 classes each."""
    random = np.random.default_rng(5)
    x = random.standard_normal((n, 6, 8)).astype(np.float32)
    return {"x": x, "y": np.argmax(x[:, 0, :4], axis=1).astype(np.int32)}


# ---- models


def compile_classifier(model: Any, optimizer: Any = None, **more: Any) -> Any:
    """Return the model, compiled for classes given as integers."""
    given = {
        "optimizer": optimizer or keras.optimizers.Adam(),
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "metrics": ["accuracy"],
    }
    model.compile(**given | more)
    return model


def stack(*inner: Any, shape: tuple[int, ...] = (12,), optimizer: Any = None, **more: Any) -> Any:
    """Return a compiled classifier: the given layers, or one of 16 units, and an output."""
    inner = inner or (layers.Dense(16, activation="relu", name="hidden"),)
    parts = [keras.Input(shape), *inner, layers.Dense(4, name="output")]
    return compile_classifier(keras.Sequential(parts), optimizer, **more)


def dense_adam() -> Any:
    """Return a stack of Dense layers with Adam."""
    return stack()


def dense_momentum() -> Any:
    """Return the same with momentum."""
    return stack(optimizer=keras.optimizers.SGD(0.05, momentum=0.9))


def cnn_bn() -> Any:
    """Return convolutions with an even kernel, batch normalisation and both ways of pooling."""
    return stack(
        layers.Conv2D(6, 3, padding="same", name="first"),
        layers.BatchNormalization(name="normal"),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Conv2D(8, 2, strides=2, padding="same", activation="relu", name="second"),
        layers.AveragePooling2D(2, padding="same"),
        layers.Flatten(),
        shape=(8, 8, 3),
    )


def residual() -> Any:
    """Return two residual blocks with batch normalisation."""
    first = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False)(first)
    for _ in range(2):
        shortcut = x
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Add()([shortcut, layers.Conv2D(6, 3, padding="same", use_bias=False)(x)])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    return compile_classifier(keras.Model(first, layers.Dense(4)(x)))


def dict_inputs() -> Any:
    """Return a model of two inputs that are given by name."""
    left, right = keras.Input((7,), name="left"), keras.Input((5,), name="right")
    joined = layers.Concatenate()([layers.Dense(6)(left), layers.Dense(6)(right)])
    output = layers.Dense(4)(layers.Activation("tanh")(joined))
    return compile_classifier(keras.Model({"left": left, "right": right}, output))


def l2() -> Any:
    """Return a stack whose kernels are regularised."""
    return stack(layers.Dense(16, "relu", kernel_regularizer=keras.regularizers.L2(0.01)))


class Sparse(layers.Layer):
    """A layer that adds a loss of its own."""

    def call(self, x: Any) -> Any:
        """Return x, and add the mean of its squares to the loss."""
        self.add_loss(0.1 * ops.mean(ops.square(x)))
        return x


def add_loss() -> Any:
    """Return a stack with a loss that a layer adds, and a regulariser of what a layer returns."""
    regular = layers.Dense(16, "relu", activity_regularizer=keras.regularizers.L2(0.01))
    return stack(regular, Sparse())


def two_outputs() -> Any:
    """Return a model of two outputs whose losses have weights."""
    first = keras.Input((12,))
    x = layers.Dense(16, "gelu")(first)
    kind, size = layers.Dense(4, name="kind")(x), layers.Dense(1, name="size")(x)
    model = keras.Model(first, {"kind": kind, "size": size})
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        optimizer="adam",
        loss={"kind": crossentropy, "size": "mse"},
        loss_weights={"kind": 0.3, "size": 2.0},
        metrics={"kind": ["accuracy"], "size": ["mae"]},
    )
    return model


def embedding_lstm() -> Any:
    """Return an embedding and an LSTM, with SGD."""
    inner = layers.Embedding(20, 6), layers.LSTM(5)
    return stack(*inner, shape=(8,), optimizer=keras.optimizers.SGD(0.1))


def masked_bigru() -> Any:
    """Return an embedding that masks, and a GRU in both directions."""
    inner = layers.Embedding(20, 6, mask_zero=True), layers.Bidirectional(layers.GRU(4))
    return stack(*inner, shape=(8,), optimizer=keras.optimizers.SGD(0.1, momentum=0.9))


def embedding_adam() -> Any:
    """Return words looked up, averaged, and trained with Adam: words recur in a batch."""
    return stack(layers.Embedding(20, 6), layers.GlobalAveragePooling1D(), shape=(8,))


def attention() -> Any:
    """Return attention over a sequence, with layer normalisation."""
    first = keras.Input((6, 8))
    attended = layers.MultiHeadAttention(2, 4)(first, first)
    x = layers.LayerNormalization()(layers.Add()([first, attended]))
    x = layers.GlobalAveragePooling1D()(layers.Dense(8, "gelu")(x))
    return compile_classifier(keras.Model(first, layers.Dense(4)(x)))


class Subclass(keras.Model):
    """A model written as a class."""

    def __init__(self) -> None:
        """Make its layers."""
        super().__init__()
        self.hidden = layers.Dense(16, activation="tanh")
        self.normal = layers.BatchNormalization()
        self.out = layers.Dense(4)

    def call(self, x: Any, training: bool = False) -> Any:
        """Return a number for each class."""
        return self.out(self.normal(self.hidden(x), training=training))


def subclass() -> Any:
    """Return a model written as a class, called once."""
    model = Subclass()
    model(np.zeros((2, 12), np.float32))
    return compile_classifier(model)


def unbuilt_subclass() -> Any:
    """Return a model written as a class, whose variables do not exist yet."""
    return compile_classifier(Subclass())


class Centred(layers.Layer):
    """A layer in keras.ops that keeps a running mean, and counts its calls."""

    def build(self, shape: Any) -> None:
        """Make a weight that is trained and two that are not."""
        self.scale = self.add_weight(shape=shape[-1:], initializer="ones", name="scale")
        self.mean = self.add_weight(shape=shape[-1:], name="mean", trainable=False)
        self.count = self.add_weight(shape=(), dtype="int32", name="count", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        """Return x without its running mean, scaled."""
        if training:
            self.mean.assign(0.9 * self.mean + 0.1 * ops.mean(x, axis=0))
            self.count.assign(self.count + 1)
        return ops.multiply(self.scale, x - self.mean)


def ops_layer() -> Any:
    """Return a stack with a layer of one's own that keeps a state."""
    return stack(layers.Dense(16, "relu"), Centred())


def weighted_metrics() -> Any:
    """Return a stack with a metric that sample weights apply to."""
    return stack(weighted_metrics=["accuracy"])


def schedule_adam() -> Any:
    """Return a stack whose rate falls with each update."""
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=5, decay_rate=0.7)
    return stack(optimizer=keras.optimizers.Adam(rate))


def cosine_momentum() -> Any:
    """Return a stack whose rate rises, then falls with a cosine."""
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, decay_steps=20, warmup_target=0.1, warmup_steps=6
    )
    return stack(optimizer=keras.optimizers.SGD(rate, momentum=0.9))


def ema() -> Any:
    """Return a stack whose weights become their moving average at the end of training."""
    return stack(optimizer=keras.optimizers.Adam(use_ema=True, ema_momentum=0.9))


def ema_overwrite() -> Any:
    """Return a stack whose weights become their moving average every 6 updates."""
    often = {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 6}
    return stack(optimizer=keras.optimizers.Adam(**often))


def clipnorm() -> Any:
    """Return a stack whose gradients are clipped one by one."""
    return stack(optimizer=keras.optimizers.Adam(clipnorm=0.05))


def global_clipnorm() -> Any:
    """Return a stack whose gradients are clipped together."""
    return stack(optimizer=keras.optimizers.SGD(0.1, global_clipnorm=0.1))


def accumulation() -> Any:
    """Return a stack that adds the gradients of 3 batches up."""
    return stack(optimizer=keras.optimizers.Adam(gradient_accumulation_steps=3))


def mixed(policy: str) -> Any:
    """Return a stack that computes in half precision."""
    inner = layers.Dense(16, "relu", dtype=policy), layers.Dense(8, "relu", dtype=policy)
    first = keras.Input((12,))
    output = layers.Dense(4, dtype="float32")(inner[1](inner[0](first)))
    model = keras.Model(first, output)
    model.dtype_policy = keras.DTypePolicy(policy)
    return compile_classifier(model)


def mixed_float16() -> Any:
    """Return a stack in half precision, with a scaled loss."""
    return mixed("mixed_float16")


def mixed_bfloat16() -> Any:
    """Return a stack in bfloat16."""
    return mixed("mixed_bfloat16")


class OwnLoss(keras.Sequential):
    """A model with a loss of its own."""

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the compiled loss, and half the mean of the outputs' absolute values."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss + 0.5 * ops.mean(ops.abs(y_pred))


def compute_loss() -> Any:
    """Return a model with a loss of its own."""
    return compile_classifier(OwnLoss([keras.Input((12,)), layers.Dense(16), layers.Dense(4)]))


def auc_precision() -> Any:
    """Return a classifier of 2 classes with metrics that keep tables."""
    inner = [layers.Dense(16, "relu"), layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([keras.Input((12,)), *inner])
    metrics = [keras.metrics.AUC(), keras.metrics.Precision()]
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=metrics)
    return model


class TwiceOnJax(keras.Sequential):
    """A model whose training step makes two updates, written for JAX."""

    def train_step(self, state: Any, data: Any) -> Any:
        """Return the logs of the second update, and the state after it."""
        _, state = super().train_step(state, data)
        return super().train_step(state, data)


class Twice(keras.Sequential):
    """A model whose training step makes two updates, written for TensorFlow and PyTorch."""

    def train_step(self, data: Any) -> Any:
        """Return the logs of the second update."""
        super().train_step(data)
        return super().train_step(data)


def own_step() -> Any:
    """Return a model with a training step of its own."""
    kind = TwiceOnJax if keras.backend.backend() == "jax" else Twice
    return compile_classifier(
        kind([keras.Input((12,)), layers.Dense(16), layers.Dense(4)], name="twice")
    )


def dropout() -> Any:
    """Return a stack that drops a third of its units."""
    return stack(layers.Dense(16, "relu"), layers.Dropout(1 / 3))


def seeded_dropout() -> Any:
    """Return a stack whose dropout has a seed of its own."""
    return stack(layers.Dense(16, "relu"), layers.Dropout(1 / 3, seed=7))


def noise() -> Any:
    """Return a stack with noise on its input."""
    return stack(layers.GaussianNoise(0.3), layers.Dense(16, "relu"))


def norms() -> Any:
    """Return group and layer normalisation, and convolutions by channel and transposed."""
    return stack(
        layers.Conv2D(8, 3, padding="same"),
        layers.GroupNormalization(4),
        layers.DepthwiseConv2D(3, strides=2, padding="same", activation="gelu"),
        layers.LayerNormalization(),
        layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
        layers.GlobalAveragePooling2D(),
        shape=(8, 8, 3),
    )


def resizing() -> Any:
    """Return images made larger in two ways, and a separable convolution."""
    return stack(
        layers.Resizing(10, 10),
        layers.SeparableConv2D(6, 3, strides=2, activation="relu"),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.GlobalMaxPooling2D(),
        shape=(8, 8, 3),
    )


ZOO = {
    "dense_adam": Entry(dense_adam, table),
    "dense_momentum": Entry(dense_momentum, table),
    "cnn_bn": Entry(cnn_bn, images),
    "residual": Entry(residual, images),
    "dict_inputs": Entry(dict_inputs, two_tables),
    "l2": Entry(l2, table),
    "add_loss": Entry(add_loss, table),
    "two_outputs": Entry(two_outputs, two_answers),
    "embedding_lstm": Entry(embedding_lstm, words),
    "masked_bigru": Entry(masked_bigru, words),
    "embedding_adam": Entry(embedding_adam, words),
    "attention": Entry(attention, sequences),
    "subclass": Entry(subclass, table),
    "unbuilt_subclass": Entry(unbuilt_subclass, table),
    "ops_layer": Entry(ops_layer, table),
    "weighted_metrics": Entry(weighted_metrics, weighted_table),
    "schedule_adam": Entry(schedule_adam, table),
    "cosine_momentum": Entry(cosine_momentum, table),
    "ema": Entry(ema, table),
    "ema_overwrite": Entry(ema_overwrite, table),
    "clipnorm": Entry(clipnorm, table),
    "global_clipnorm": Entry(global_clipnorm, table),
    "accumulation": Entry(accumulation, table),
    "mixed_float16": Entry(mixed_float16, table),
    "mixed_bfloat16": Entry(mixed_bfloat16, table),
    "compute_loss": Entry(compute_loss, table),
    "auc_precision": Entry(auc_precision, binary_table),
    "own_step": Entry(own_step, table),
    "dropout": Entry(dropout, table),
    "seeded_dropout": Entry(seeded_dropout, table),
    "noise": Entry(noise, table),
    "norms": Entry(norms, images),
    "resizing": Entry(resizing, images),
    "sample_weight": Entry(dense_momentum, weighted_table),
    "class_weight": Entry(dense_adam, table_by_class),
}
