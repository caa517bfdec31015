"""texts: to be written."""
