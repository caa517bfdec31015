"""Tests of mlm/inference."""
