"""Rules by which a training read its texts, from training.json: cleaned, cut, single or in pairs.

A checkpoint of `mlm finetune` says so. Of others, texts are taken as they are, and the end of what
does not fit is cut.
"""

import logging
from dataclasses import dataclass, replace

from mlm.checkpoint.strict_json import JsonObject
from mlm.data.examples.truncation import TRUNCATIONS, Truncation
from mlm.data.texts.choices import CLEAN_HTML

logger = logging.getLogger(__name__)

KEPT: dict[Truncation, str] = {
    "head": "its beginning",
    "tail": "its end",
    "head_tail": "its beginning and its end",
}


@dataclass(frozen=True)
class ReadingRules:
    """Rules by which the texts of a training were read.

    clean_html: "auto", "yes" or "no"; None leaves texts as they are.
    is_of_pairs: None if nobody knows.
    """

    max_seq_length: int
    truncation: Truncation = "head"
    clean_html: str | None = None
    is_of_pairs: bool | None = None

    @classmethod
    def of(cls, training: JsonObject | None, longest: int, shortest: int) -> "ReadingRules":
        """Return those that training.json names; what is not usable there is logged.

        longest, shortest: bounds of the tokens that a text may have.
        """
        rules, task = cls(longest), (training or {}).get("task")
        if not isinstance(task, dict):
            return rules
        length, truncation = task.get("max_seq_length"), task.get("truncation")
        if type(length) is int and length >= shortest:
            rules = replace(rules, max_seq_length=min(length, longest))
        else:
            logger.warning("training.json names no usable max_seq_length: %d is used", longest)
        if truncation in TRUNCATIONS:
            rules = replace(rules, truncation=truncation)
        else:
            logger.warning("training.json names no known truncation: texts are cut at the end")
        config = (training or {}).get("config")
        html = config.get("clean_html") if isinstance(config, dict) else None
        pairs = task.get("is_of_pairs")
        return replace(
            rules,
            clean_html=html if html in CLEAN_HTML else "auto",
            is_of_pairs=pairs if isinstance(pairs, bool) else None,
        )
