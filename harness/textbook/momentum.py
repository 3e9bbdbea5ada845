"""Gradient descent with momentum on a line with two valleys: without it the weight stays in the first one.

Source: F. Chollet, Deep Learning with Python, chapter 2, in its words `velocity` and
`past_velocity`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

LOCAL, TOP, GLOBAL = (
    1.0,
    0.0,
    -2.0,
)  # where the gradient is 0: the near valley, the hill behind it, the deep valley
START, LEARNING_RATE, MOMENTUM, N_STEPS = (
    2.0,
    0.005,
    0.9,
    200,
)  # any rate from 0.002 to 0.01 tells the same story


def loss(w: float) -> float:
    """Return 3 w^4 + 4 w^3 - 12 w^2: -5 in the local minimum at 1, 0 on the hill at 0, -32 in the global one at -2."""
    return 3 * w**4 + 4 * w**3 - 12 * w**2


def gradient(w: float) -> float:
    """Return the loss's derivative, 12 w (w - 1) (w + 2)."""
    return 12 * w * (w - 1) * (w + 2)


def descend(
    gradient: Callable[[float], float],
    start: float,
    learning_rate: float,
    momentum: float,
    n_steps: int,
) -> NDArray[np.float64]:
    """Return the weight before the first step and after each one, (n_steps + 1,).

    A step is velocity = momentum * past_velocity - learning_rate * g, then w += momentum * velocity
    - learning_rate * g; with momentum 0 that is plain gradient descent.

    **Differs**: this is Nesterov's form, Keras's `SGD(momentum=..., nesterov=True)`. Keras's plain
    momentum moves by the velocity itself, w += velocity. PyTorch's velocity has the other sign and
    no learning rate in it (velocity = momentum * past_velocity + g; plain: w -= learning_rate *
    velocity; nesterov=True: w -= learning_rate * (g + momentum * velocity)): the same path while
    the learning rate stays, another once it changes.

    Source: keras 3.15.1, keras/src/optimizers/sgd.py; torch 2.13.0, torch/optim/sgd.py.
    """
    path = np.empty(n_steps + 1)
    path[0] = w = start
    velocity = 0.0
    for step in range(n_steps):
        g = gradient(w)
        velocity = momentum * velocity - learning_rate * g
        w += momentum * velocity - learning_rate * g
        path[step + 1] = w
    return path


def two_paths() -> dict[float, NDArray[np.float64]]:
    """Return the weights on the way down from START, without momentum and with it, by momentum."""
    return {
        momentum: descend(gradient, START, LEARNING_RATE, momentum, N_STEPS)
        for momentum in (0.0, MOMENTUM)
    }
