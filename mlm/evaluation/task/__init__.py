"""Figures of a fine-tuned model, from logits and labels.

metric_names.py   the metrics of each kind of task, and what `--metric_name` takes
label_figures.py  precision, recall and F1 from counts
intervals.py      95 % intervals: Wilson's, and bootstrap
losses.py         the loss of each element
task_figures.py   the figures as the record and the terminal have them
single_label.py   one label a text
multi_label.py    any number of labels a text
regression.py     a number a text
entities.py       entities in a sentence of tags, as seqeval counts them
tokens.py         a label a token
measurement.py    `figures_of`: logits and labels of any task to figures
tables.py         their tables, as text and as Markdown
"""
