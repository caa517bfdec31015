"""backend: to be written."""
