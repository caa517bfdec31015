"""Tests of mlm/finetuning.

Covered elsewhere:
    config_rules by test_config, test_preparation
    first_checks by commands/test_finetune
    job, record by test_finetune, test_problem_types
    outcome, summary by test_finetune, commands/test_finetune
    labelled_sides by test_preparation
    systems, tfidf by test_comparison
"""
