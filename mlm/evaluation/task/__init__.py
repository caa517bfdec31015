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
mcnemar.py        whether two models differ on the same texts
seeds.py          mean and spread over seeds
curve.py          the score by number of labels, of several systems
labels_saved.py   the labels that another system needs for the same score
curve_tables.py   both as tables
curve_axes.py     places and ticks of the curve's picture
curve_picture.py  the curve as SVG
"""
