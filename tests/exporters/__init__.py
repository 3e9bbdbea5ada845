"""What `harness export` writes, read back by the libraries that it is for: `nox -s exporters`."""
