"""space: to be written."""
