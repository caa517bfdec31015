"""engines: to be written."""
