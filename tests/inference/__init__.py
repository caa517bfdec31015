"""Tests of mlm/inference.

Covered elsewhere:
    classification, entities, reading_rules, text_reader by test_classifier
    classified_writing by test_row_classifying
    candidates, filling, masked_text, targets, vocabulary by test_fill_mask
    csv_records by test_row_reading
    engines/choice, engines/keras_engine, engines/litert by test_litert
    engines/engine by test_litert, test_joint_filling
    model_name by test_fill_mask, test_classifier
    predictor by test_fill_mask, test_scoring
    word_spans by test_scoring, test_masked_example
"""
