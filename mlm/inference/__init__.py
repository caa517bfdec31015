"""inference: to be written."""
