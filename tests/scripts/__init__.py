"""Tests of scripts/ that no whole story runs."""
