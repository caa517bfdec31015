"""Tests of mlm/evaluation.

Covered elsewhere:
    checkpoint_evaluation, evaluator, held_out by test_evaluation
"""
