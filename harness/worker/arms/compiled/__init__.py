"""The Keras model and optimizer without `fit`: samples on the device, a whole epoch compiled.

The model, its loss and its optimizer are the very objects that `fit` would train, see
harness.worker.keras_model; what is left out is `fit` itself: its input pipeline, its metric
objects, its callbacks, and its way back to Python after every step.
"""
