"""Any Keras model, without a referee: the backends against each other, and what rounding costs that very model."""
