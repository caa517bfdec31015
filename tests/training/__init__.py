"""Tests of mlm/training.

Covered elsewhere:
    card/card, card/figures, card/front_matter, card/model_index, card/origin by test_model_card
    card/sections, card/stated, card/training_json by test_model_card
    card/kinds, card/model_facts, card/names by test_model_card
    card/task by test_task_card
    config_overrides, config_rules, recipe_file by test_config
    dry_run, event_log, run_lock, stopping by test_run
    initial_checkpoint by whole/test_leaks
    compiled_learner, preparation, record, masked_lm, publishing by test_trainer
    job, run_parts by test_run, test_trainer
    run_settings by test_config
    setting by test_resuming, commands/test_settings_parser
    state/saver by test_run
    step/dataset by data/test_dynamic_padding
    step/learner by test_step, test_loss
    step/safe_update by test_optimizer
    step/jax by backend/test_devices
    step/tensorflow by test_step, test_adam_step
"""
