"""The datasets: where they come from, and that they are what their names say."""
