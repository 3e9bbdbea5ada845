"""HOW a worker runs: processes, live workers, this machine, and what disturbs it."""
