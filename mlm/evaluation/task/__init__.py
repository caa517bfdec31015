"""Figures of a fine-tuned model, from logits and labels.

metric_names.py   the metrics of each kind of task, and what `--metric_name` takes
label_figures.py  precision, recall and F1 from counts
intervals.py      95 % intervals: Wilson's, and bootstrap
losses.py         the loss of each element
task_figures.py   the figures as the record and the terminal have them
single_label.py   one label a text
measurement.py    `figures_of`: logits and labels of any task to figures
"""
