"""WHERE a backend's Python is, and what it can import."""
