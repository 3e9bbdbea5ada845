"""The network from scratch: the same names in each file, so that only the framework differs."""
