"""DECIDES: from records to a comparison."""
