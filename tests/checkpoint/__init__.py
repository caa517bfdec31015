"""Tests of mlm/checkpoint.

Covered elsewhere:
    config_bounds, config_values by test_config_json
    families/albert, families/bert, families/camembert, families/deberta_v2 by test_families
    families/distilbert, families/electra, families/modernbert, families/mpnet by test_families
    families/roberta, families/xlm_roberta, families/family, families/naming by test_families
    families/configs, families/lookup, families/tensors by test_families
    record/card_metadata, record/markdown, record/schema by training/test_model_card
    record/curve_svg, record/reading by playground/test_page
    task by test_config_task
    strict_json by test_config_json
    tensor_locations, weight_files by test_weights
    tokenizer_files/checks, tokenizer_files/components by test_tokenizer_files
    tokenizer_files/rules, tokenizer_files/settings by test_tokenizer_files
    tokenizer_files/vocabulary by test_tokenizer_files
"""
