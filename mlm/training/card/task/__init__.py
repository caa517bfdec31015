"""The card of a classifier, in the parts that a masked LM's card does not have.

task_record.py   what training.json holds of a fine-tuning, as the card uses it
wording.py       names of labels and sides as text
metadata.py      the metadata: base model, metrics with their intervals
summary.py       what it answers, what it was made from, its headline figure
usage.py         how to load it, how it reads texts
figures.py       the measured figures, the learning curve
limits.py        what its figures do not say
origin.py        labels, texts, recipe, run
task_card.py     all sections, in order
"""
