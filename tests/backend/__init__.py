"""Tests of mlm/backend."""
