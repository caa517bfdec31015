"""Tests of mlm/commands."""
