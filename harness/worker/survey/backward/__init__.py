"""The gradient of a function of tensors, as each framework derives it, a module each."""
