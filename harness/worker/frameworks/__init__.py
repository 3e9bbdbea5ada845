"""What one asks a framework, beside the model: one module each, the same functions with the same arguments.

version() -> str; devices() -> what it can compute on ("cpu", "gpu: NAME"); cuda() -> the CUDA version it was built for;
settings() -> what took effect; held(array) -> what Keras's `fit` turns a NumPy array into before it cuts batches;
generator(seed) -> its own uniform(low, high, shape) and permutation(n), as NumPy arrays;
where(tensor) -> the device that holds it; wait(tensors) -> once the device has computed them; watch_compiles(model) ->
a function that returns how many programs were compiled or traced since.
"""
