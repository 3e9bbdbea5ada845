"""KEEPS: one immutable record a run."""
