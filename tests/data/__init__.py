"""Tests of mlm/data."""
