"""server: to be written."""
