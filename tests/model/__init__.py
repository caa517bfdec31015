"""Tests of mlm/model."""
