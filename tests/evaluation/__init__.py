"""Tests of mlm/evaluation.

Covered elsewhere:
    checkpoint_evaluation, evaluator, held_out by test_evaluation
    task/label_figures, task/losses by test_task_single_label
    task/entities by test_task_tokens
    task/measurement, task/metric_names by test_task_figures
"""
