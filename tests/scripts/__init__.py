"""Tests of the scripts that tests/whole does not run."""
