"""What one asks a framework beside the model: a module each, with the same functions.

version() -> str; devices() -> what it can compute on ("cpu", "gpu: NAME"); cuda() -> the CUDA
version it was built for; settings() -> what took effect; fit_input(array) -> what Keras's `fit`
converts a NumPy array to before it cuts batches; generator(seed) -> its own `Draws`;
device_of(tensor) -> the device that holds it; wait(tensors) -> once the device has computed them;
watch_compiles(model) -> a function that returns how many programs were compiled or traced since;
read(tensor) -> it as NumPy has it; memory() -> {label: bytes} of what an accelerator's allocator
took at most.

And the work that its limits are measured by (harness.worker.jobs.limit), each in all `Ways` to do
it: product(a, b, form), two matrices multiplied; addition(n), n floats added to n others;
smallest_call().
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

Draws = tuple[Callable[..., NDArray[Any]], Callable[[int], NDArray[Any]]]
"""uniform(low, high, shape) and permutation(n), as NumPy arrays."""
Ways = tuple[Callable[[int], Any], ...]
"""Each begins a number of rounds of one thing and returns the last result, perhaps a promise."""
