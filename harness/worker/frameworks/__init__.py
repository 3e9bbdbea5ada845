"""What one asks a framework, beside the model: one module each, the same functions with the same arguments.

version() -> str; devices() -> what it can compute on ("cpu", "gpu: NAME"); cuda() -> the CUDA
version it was built for; settings() -> what took effect; held(array) -> what Keras's `fit` turns a
NumPy array into before it cuts batches; generator(seed) -> its own uniform(low, high, shape) and
permutation(n), as NumPy arrays; where(tensor) -> the device that holds it; wait(tensors) -> once
the device has computed them; watch_compiles(model) -> a function that returns how many programs
were compiled or traced since.

read(tensor) -> it as NumPy has it; memory() -> {label: bytes} of what an accelerator's allocator
took at most.

And what its limits are measured by (harness.worker.limit), each as a tuple of the ways to do it; a
way is a function that begins so many rounds of it and returns the last one's result, which may be a
promise: product(a, b, form), two matrices multiplied, each as it lies in memory ("n") or transposed
("t"); sweep(n), n floats added to n others; smallest(), a call.
"""
