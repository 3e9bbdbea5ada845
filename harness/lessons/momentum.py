"""Gradient descent on a line with two valleys: without momentum the weight stays in the first.

Source: F. Chollet, Deep Learning with Python, chapter 2, in its words `velocity` and
`past_velocity`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

LOCAL, TOP, GLOBAL = 1.0, 0.0, -2.0  # where the gradient is 0: first valley, hill, deep valley
START, LEARNING_RATE, MOMENTUM, N_STEPS = 2.0, 0.005, 0.9, 200  # rates from 0.002 to 0.01 do, too


def loss(w: float) -> float:
    """Return 3 w^4 + 4 w^3 - 12 w^2.

    It is -5 in the local minimum at 1, 0 on the hill at 0, and -32 in the global minimum at -2.
    """
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
    """Return the weight before the first step and after each one, (n_steps + 1,) float64.

    Args:
        gradient: from a weight to the loss's derivative.
        start: the weight before the first step.
        learning_rate: of each step.
        momentum: of each step, from 0 to below 1.
        n_steps: how many steps to take.

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
    """Return each path down from START, (N_STEPS + 1,) float64, by momentum: 0 and MOMENTUM."""
    return {
        momentum: descend(gradient, START, LEARNING_RATE, momentum, N_STEPS)
        for momentum in (0.0, MOMENTUM)
    }
