"""The card of a checkpoint: README.md, written from training.json and config.json.

Parts that are absent from those files, or have another shape, are left out of the card.

    training_json.py  the content of training.json, typed
    examples.py       the example sentences, answered by the checkpoint
    stated.py         facts that a person states: licences, languages, data sets
    model_index.py    evaluation results of the metadata
    front_matter.py   the metadata, which the Hub reads
    figures.py        the sections of measured figures
    origin.py         the sections on texts, recipe and run
    model_facts.py    a model's shape and origin in sentences
    names.py          the names that a card has for its model
    sections.py       all sections, in order
    task/             the card of a classifier
    kinds.py          the content of a card, by the kind of the checkpoint
    card.py           write_model_card, name_model_card, add_measurements
"""

from mlm.training.card.card import add_measurements, name_model_card, write_model_card

__all__ = ["add_measurements", "name_model_card", "write_model_card"]
