"""Masked-LM metrics of a checkpoint on held-out texts.

held_out.py               the texts of an evaluation, its settings, and the tokens of the texts
evaluator.py              loss, perplexity and accuracy of a model on masked batches
checkpoint_evaluation.py  `mlm.evaluate`: a checkpoint by name, measured on texts
shared_words.py           the same hidden words for models with different tokenizers
word_scoring.py           cross-entropy and rank of hidden words
model_comparison.py       several checkpoints on the same texts, with a verdict
published_numbers.py      a regression check against numbers that others published
task/                     figures of a fine-tuned model, from its logits and labels
"""
