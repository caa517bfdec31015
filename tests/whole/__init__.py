"""Whole stories, from a command to its end."""
