"""Tests of mlm/evaluation.

Covered elsewhere:
    checkpoint_evaluation, evaluator, held_out by test_evaluation
    task/label_figures, task/losses by test_task_single_label
    task/curve_axes by test_task_curve_picture
    task/curve_tables, task/labels_saved by test_task_curve
    task/entities by test_task_tokens
    task/measurement, task/metric_names by test_task_figures
"""
