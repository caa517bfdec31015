"""tokens: to be written."""
