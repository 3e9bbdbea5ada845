"""THE SAME BYTES for everyone: the dataset, the initial weights, the order of the samples."""
