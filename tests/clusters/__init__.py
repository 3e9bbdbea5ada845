"""Sweeps on real clusters on one machine: Debian's SLURM with two nodes, Ray with two nodes."""
