"""The Keras model and the Keras optimizer without `fit`: samples on the device, a whole epoch compiled, where there is a compiler for that.

The model, its loss and its optimizer are the very objects that `fit` would train, see
harness.worker.keras_model; what is left out is `fit` itself: its input pipeline, its metric
objects, its callbacks, and its way back to Python after every step.
"""
