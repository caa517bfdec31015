"""The card of a checkpoint: README.md from what training.json and config.json say was measured.

What is not in those files, or not in the shape that it is to have there, is not in the card.
"""

from mlm.model_card.card import add_measurements, write_model_card
from mlm.model_card.front_matter import base_model_of, licence_of
from mlm.model_card.record import figures_of_training

__all__ = [
    "add_measurements",
    "base_model_of",
    "figures_of_training",
    "licence_of",
    "write_model_card",
]
