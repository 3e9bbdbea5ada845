"""The arms: each a module with the same verbs."""
