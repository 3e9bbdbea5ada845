"""What a worker is asked and what it answers, and the machine, which both sides read.

Typed on both sides of the process boundary.
"""
