"""Random numbers from outside: a model and its dropout are the same on every backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras.src import backend
from numpy.typing import NDArray

from harness.errors import Refused
from harness.worker.user_inputs import Unusable

GIVEN = ("dropout", "uniform", "normal", "truncated_normal", "randint")
OTHERS = ("categorical", "shuffle", "gamma", "binomial", "beta")
WIDEST = 2.0  # deviations of a truncated normal number
Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float32]]


class OutsideDraws:
    """Draws of NumPy's in place of a backend's own, in this process, once installed.

    While a model is built each draw has numbers of its own, in their order. After `open` each seed
    generator of the model has, the same in each update; what a layer draws without one has others
    in common. A layer that is called twice, or a cell that draws at each step, then draws the same
    numbers again. Numbers are drawn in float32 and widened, so that float64 sees the same masks.
    """

    def __init__(self, seed: int) -> None:
        """Take a seed."""
        self.seed = seed
        self.n_built = 0
        self.n_samples = 0  # of the largest batch, once a model is open
        self.places: dict[int, int] = {}

    def install(self) -> None:
        """From now on, let all that this process draws be these; what cannot be is refused."""
        for name in GIVEN:
            setattr(backend.random, name, getattr(self, name))

    def open(self, model: Any, n_samples: int) -> None:
        """Let the draws of a built model's layers repeat, for batches of up to so many samples."""
        layers = model._flatten_layers()
        generators = {id(each): None for layer in layers for each in layer._seed_generators}
        self.places = {key: place for place, key in enumerate(generators)}
        self.n_samples = n_samples
        for name in OTHERS:
            setattr(backend.random, name, _refuse(name))

    def dropout(self, inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
        """Return the inputs, (n, ...), with a share of them at 0 and the others larger.

        Args:
            inputs: a tensor.
            rate: the share that is dropped.
            noise_shape: of the mask, broadcast to the inputs; None where it is theirs.
            seed: the layer's seed generator.
        """
        own = keras.ops.shape(inputs)
        shape = own if noise_shape is None else noise_shape
        axes = [a if b is None else b for a, b in zip(own, shape, strict=True)]
        drawn = self._draw(seed, axes, _uniform)
        kept = inputs / keras.ops.cast(1.0 - rate, inputs.dtype)
        return keras.ops.where(drawn >= float(np.float32(rate)), kept, keras.ops.zeros_like(inputs))

    def uniform(
        self, shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None
    ) -> Any:
        """Return numbers of a shape, between minval and maxval.

        Args:
            shape: (n, ...).
            minval: the least.
            maxval: what all are below.
            dtype: of the numbers.
            seed: the layer's seed generator.
        """
        return _cast(self._draw(seed, shape, _uniform) * (maxval - minval) + minval, dtype)

    def normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
    ) -> Any:
        """Return normal numbers of a shape.

        Args:
            shape: (n, ...).
            mean: of them.
            stddev: their standard deviation.
            dtype: of the numbers.
            seed: the layer's seed generator.
        """
        return _cast(self._draw(seed, shape, _normal) * stddev + mean, dtype)

    def truncated_normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
    ) -> Any:
        """Return normal numbers of a shape, none beyond two deviations.

        Args:
            shape: (n, ...).
            mean: of them.
            stddev: their standard deviation, but for what is cut off.
            dtype: of the numbers.
            seed: the layer's seed generator.
        """
        return _cast(self._draw(seed, shape, _truncated) * stddev + mean, dtype)

    def randint(
        self, shape: Any, minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None
    ) -> Any:
        """Return integers of a shape, from minval to below maxval.

        Args:
            shape: (n, ...).
            minval: the least.
            maxval: what all are below.
            dtype: of the numbers.
            seed: the layer's seed generator.
        """
        drawn = self._draw(seed, shape, _uniform) * (maxval - minval)
        return keras.ops.cast(keras.ops.floor(drawn), dtype) + minval

    def _draw(self, seed: Any, shape: Sequence[Any], draw: Draw) -> Any:
        """Return a draw, (n, ...): of an open model the first n rows of the largest batch's.

        Args:
            seed: the layer's seed generator, or whatever was given.
            shape: (n, ...).
            draw: of a shape.
        """
        floatx = keras.config.floatx()
        if not self.n_samples or not shape:
            self.n_built += not self.n_samples
            random = np.random.default_rng([self.seed, self.n_built])
            return draw(random, tuple(map(int, shape))).astype(floatx)
        first, *rest = shape
        if not all(isinstance(length, int) for length in rest):
            raise Refused("dropout: expected axes of known lengths, but for the samples'")
        n_rows = max(self.n_samples, first) if isinstance(first, int) else self.n_samples
        place = self.places.get(id(seed), len(self.places))
        random = np.random.default_rng([self.seed, 0, place])
        drawn = draw(random, (n_rows, *rest)).astype(floatx)
        return drawn[:first] if isinstance(first, int) else keras.ops.cast(drawn, floatx)[:first]


def _uniform(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.asarray(random.random(shape, np.float32))


def _normal(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.asarray(random.standard_normal(shape, np.float32))


def _truncated(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    drawn = _normal(random, shape)
    while (beyond := np.abs(drawn) > WIDEST).any():
        drawn = np.where(beyond, _normal(random, shape), drawn)
    return drawn


def _cast(drawn: Any, dtype: Any) -> Any:
    """Return numbers as a tensor; what NumPy has drawn is no program of a backend's."""
    dtype = dtype or keras.config.floatx()
    if isinstance(drawn, np.ndarray | np.generic):
        return keras.ops.convert_to_tensor(drawn, dtype=dtype)
    return keras.ops.cast(drawn, dtype)


def _refuse(name: str) -> Callable[..., Any]:
    """Return what stands in for a way to draw that cannot be given from outside."""

    def refuse(*_: Any, **__: Any) -> Any:
        given = ", ".join(GIVEN)
        where = f"--model: a layer draws random numbers with keras.random.{name}"
        raise Unusable(f"{where}, each backend its own; expected {given}. Leave it out here")

    return refuse
