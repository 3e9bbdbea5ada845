"""Train one Keras model under several backends, and compare accuracy, numbers and time."""

__version__ = "0.7.0"
