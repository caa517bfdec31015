"""Tests of mlm/hub."""
