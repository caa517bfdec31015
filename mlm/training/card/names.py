"""Names of a model on its card."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """Names of a model on its card.

    Attributes:
        title: Title of the card.
        transformers: Name that `transformers` loads it by; "" if it is bundled without an encoder.
        ours: Name that this project loads it by.
        revision: Branch that it is published on; None for the main one.
    """

    title: str
    transformers: str
    ours: str
    revision: str | None = None
