"""checkpoint: to be written."""
