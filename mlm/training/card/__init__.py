"""The card of a checkpoint: README.md from what training.json and config.json say was measured.

What is not in those files, or not in the shape that it is to have there, is not in the card.
"""

from mlm.checkpoint.record.card_metadata import base_model_of, licence_of
from mlm.checkpoint.record.reading import figures_of_training
from mlm.training.card.card import add_measurements, name_model_card, write_model_card

__all__ = [
    "add_measurements",
    "base_model_of",
    "figures_of_training",
    "licence_of",
    "name_model_card",
    "write_model_card",
]
