"""Intervals, ratios in pairs, equivalence, many comparisons at once: NumPy and SciPy only."""
