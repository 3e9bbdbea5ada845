"""What a worker is asked and what it answers: typed on both sides of the process boundary."""
