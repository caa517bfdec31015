"""tabs: to be written."""
