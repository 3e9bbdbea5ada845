"""The textbook's chapter: loops, gradients, momentum, a model's summary, the teachers' page."""
