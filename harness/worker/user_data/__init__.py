"""What a user's data function returned, in any form that `fit` takes: read once into arrays."""
