"""From scratch: the same network, the same names, four times. Lay the files beside each other: only the framework differs."""
