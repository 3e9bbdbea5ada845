"""Gradients as each framework derives them, a module each.

compute_gradients() returns these quantities, as plain numbers and lists.
x1, x2, loss, loss_by_kernel, loss_by_bias: loss = |4 - (x W + b)| at x = 2, W = 3, b = 1, through
x1 = x W and x2 = x1 + b; line_by_scalar, line_by_matrix: of 2x + 3, for a scalar x and for a matrix
(2, 2); product_by_kernel, product_by_bias: of x @ W + b, for x = [[1, 2], [3, 4]].

**Differs**: where the result is no scalar, TensorFlow's tape derives its sum; JAX and PyTorch need
the sum written out.
"""

GRAPH = ("x1", "x2", "loss", "loss_by_kernel", "loss_by_bias")
