"""record: to be written."""
