"""That the parity gate can fail: planted defects, null changes and the smallest errors it sees, on NumPy."""
