"""PyTorch: a tensor remembers its inputs, and `backward` leaves each gradient at its tensor."""

from __future__ import annotations

from typing import Any

import torch

from harness.worker.gradients import GRAPH


def compute_gradients() -> dict[str, Any]:
    """Return the quantities that `harness.worker.gradients` lists."""
    return {**_graph(), **_line(), **_product()}


def _graph() -> dict[str, Any]:
    x = torch.tensor(2.0)
    kernel, bias = (torch.tensor(value, requires_grad=True) for value in (3.0, 1.0))
    x1 = x * kernel
    x2 = x1 + bias
    loss = torch.abs(4.0 - x2)
    loss.backward()
    values = x1, x2, loss, kernel.grad, bias.grad
    return dict(zip(GRAPH, map(torch.Tensor.item, values), strict=True))


def _line() -> dict[str, Any]:
    scalar = torch.tensor(0.0, requires_grad=True)
    (2 * scalar + 3).backward()
    matrix = torch.zeros((2, 2), requires_grad=True)
    (2 * matrix + 3).sum().backward()
    return {"line_by_scalar": scalar.grad.item(), "line_by_matrix": matrix.grad.tolist()}


def _product() -> dict[str, Any]:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    kernel, bias = torch.rand((2, 2), requires_grad=True), torch.zeros(2, requires_grad=True)
    (x @ kernel + bias).sum().backward()
    return {"product_by_kernel": kernel.grad.tolist(), "product_by_bias": bias.grad.tolist()}
