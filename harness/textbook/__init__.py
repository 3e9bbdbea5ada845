"""RETELLS: what a textbook works out before its first training run, small enough to follow by hand. NumPy only."""
