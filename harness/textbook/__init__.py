"""What a textbook computes on paper before its first training run."""
