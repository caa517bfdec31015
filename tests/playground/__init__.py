"""Tests of mlm/playground."""
