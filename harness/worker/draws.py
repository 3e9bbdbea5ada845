"""Random numbers of a model's layers from outside, so that dropout is the same on every backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras.src import backend
from numpy.typing import NDArray

from harness.errors import Refused


class OutsideDraws:
    """Draws of NumPy's in place of a backend's own.

    Each seed generator of the model has a draw of its own, the same in each update. A layer that
    is called twice, or a cell that draws at each step, draws the same numbers again. Numbers are
    drawn in float32 and widened, so that float64 sees the same masks.
    """

    def __init__(self, model: Any, n_samples: int, seed: int) -> None:
        """Take a built model, the samples of its largest batch, and a seed."""
        layers = model._flatten_layers()
        generators = {id(each): None for layer in layers for each in layer._seed_generators}
        self.places = {key: place for place, key in enumerate(generators)}
        self.n_samples, self.seed = n_samples, seed
        random = backend.random
        self._own = {name: getattr(random, name) for name in ("dropout", "uniform", "normal")}

    def install(self) -> None:
        """From now on, let dropout, uniform and normal numbers of the model's layers be these."""
        for name in self._own:
            setattr(backend.random, name, getattr(self, name))

    def dropout(self, inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
        """Return the inputs, (n, ...), with a share of them at 0 and the others larger.

        Args:
            inputs: a tensor.
            rate: the share that is dropped.
            noise_shape: of the mask, broadcast to the inputs; None where it is theirs.
            seed: the layer's seed generator.
        """
        if id(seed) not in self.places:
            return self._own["dropout"](inputs, rate, noise_shape, seed)
        own = keras.ops.shape(inputs)
        shape = own if noise_shape is None else noise_shape
        drawn = self._draw(seed, [a if b is None else b for a, b in zip(own, shape, strict=True)])
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
        if id(seed) not in self.places:
            return self._own["uniform"](shape, minval, maxval, dtype, seed)
        drawn = keras.ops.cast(self._draw(seed, shape), dtype or keras.config.floatx())
        return drawn * (maxval - minval) + minval

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
        if id(seed) not in self.places:
            return self._own["normal"](shape, mean, stddev, dtype, seed)
        drawn = self._draw(seed, shape, normal=True)
        return keras.ops.cast(drawn, dtype or keras.config.floatx()) * stddev + mean

    def _draw(self, seed: Any, shape: Sequence[Any], *, normal: bool = False) -> Any:
        """Return a seed generator's draw, (n, ...): the first n rows of the largest batch's."""
        first, *rest = shape
        if not all(isinstance(length, int) for length in rest):
            raise Refused("dropout: expected axes of known lengths, but for the samples'")
        n_rows = max(self.n_samples, first) if isinstance(first, int) else self.n_samples
        random = np.random.default_rng([self.seed, self.places[id(seed)]])
        draw = random.standard_normal if normal else random.random
        drawn: NDArray[np.float32] = draw((n_rows, *rest), np.float32)
        if isinstance(first, int):
            return drawn[:first].astype(keras.config.floatx())
        return keras.ops.cast(drawn, keras.config.floatx())[:first]
