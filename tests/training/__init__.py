"""Tests of mlm/training."""
