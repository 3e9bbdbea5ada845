"""Whatever is in the installed Keras, computed from an item of the survey's catalogue."""
