"""Tests of mlm/checkpoint."""
