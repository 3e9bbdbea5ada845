"""A whole epoch as one compiled program: a loop over its full batches, then the short one.

The arms bring the step.
"""
