"""WHAT is compared: backends.toml, validated."""
