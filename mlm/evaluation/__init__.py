"""Masked-LM metrics of a checkpoint on held-out texts.

held_out.py               the texts of an evaluation, its settings, and the tokens of the texts
evaluator.py              loss, perplexity and accuracy of a model on masked batches
checkpoint_evaluation.py  `mlm.evaluate`: a checkpoint by name, measured on texts
published_numbers.py      a regression check against numbers that others published
"""
