"""Tests of mlm/commands.

Covered elsewhere:
    arguments by test_waits
    card by training/test_model_card
    evaluation_report by test_evaluate
    invocation by test_main
    push by hub/test_hub
    row_files by test_fill, test_classify
    serve by playground/test_serve
    space by hub/test_space_deploy
    tokenize by data/test_sharded_tokens
    train, training_run by test_settings_parser, whole/test_end_to_end
"""
