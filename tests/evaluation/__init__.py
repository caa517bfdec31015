"""Tests of mlm/evaluation."""
