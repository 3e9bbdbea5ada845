"""A whole epoch as one compiled program: a loop over its full batches, and the short one after them. The arms bring the step."""
