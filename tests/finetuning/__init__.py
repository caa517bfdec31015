"""Tests of mlm/finetuning."""
