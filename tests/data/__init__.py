"""Tests of mlm/data.

Covered elsewhere:
    batches/evaluation_batches by test_masked_batches
    batches/mask_choice by test_masking
    examples/class_weights, examples/example_evaluation_batches by test_example_batches
    examples/encoded_examples, examples/special_tokens, examples/truncation by test_example_encoding
    labelled/checks, labelled/sampling, labelled/splitting by test_labelled_sides
    labelled by test_labelled_files
    texts/cleaning, texts/text_column, texts/text_files, texts/text_formats by test_texts
    texts/choices, texts/clean_text, texts/seen_texts, texts/text_report by test_texts
    texts/whole_rows by test_csv_rows
    tokens/read_window by test_data_order, test_sharded_tokens
    tokens/text_checks by test_corpus
    tokens/token_facts by test_masked_batches, checkpoint/test_tokenizer
    tokens/token_store by test_corpus
    tokens/tokenizer_training by test_tokenizer_training
"""
