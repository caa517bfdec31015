"""state: to be written."""
