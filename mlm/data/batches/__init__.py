"""batches: to be written."""
