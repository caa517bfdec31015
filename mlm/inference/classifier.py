"""Classifier: a text in, its labels out. No page, no console.

    classifier = Classifier.from_pretrained("me/imdb_sentiment")
    classifier("A fine film.")          # [{"label": "positive", "score": 0.98}, ...]

The answer has the shape of `transformers.pipeline("text-classification", top_k=None)`, or of
`pipeline("token-classification")`. Texts are cleaned and cut as in the training.
"""

from collections.abc import Sequence
from pathlib import Path
from reprlib import repr as short_repr
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from mlm.checkpoint.config_task import stated_task
from mlm.checkpoint.folder import verified_config
from mlm.checkpoint.record.card_metadata import licence_of
from mlm.checkpoint.task_checkpoint import OpenTaskCheckpoint, TaskCheckpoint
from mlm.errors import CheckpointError, ConfigError, InputError
from mlm.hub import Access, Fetched, assets_folder, fetch_checkpoint, fetch_from_hub
from mlm.hub.bundled import bundled_classifier
from mlm.hub.pull import DEMO
from mlm.inference.classification import (
    Classification,
    function_of,
    rank_labels,
    softmax,
)
from mlm.inference.engines.choice import open_task_with_engine
from mlm.inference.engines.engine import Engine
from mlm.inference.engines.keras_engine import KerasEngine
from mlm.inference.engines.litert import DType
from mlm.inference.entities import STRATEGIES, Entity, ScoredToken, Strategy, find_entities
from mlm.inference.model_name import check_model_name, shown_name
from mlm.inference.predictor import check_finite
from mlm.inference.text_reader import ReadText, TextReader

DEFAULT_STRATEGY: Strategy = "first"  # a training labels the first token of each word


class Classifier:
    """Labels texts, pairs of texts, or the words of texts, as the checkpoint was trained to.

    Thread-safe; the model runs for one call at a time.

    Attributes:
        name: the folder's or the Hub's.
        revision: the commit, or None.
        url: of the checkpoint's page on the Hub, or None.
        licence: as the checkpoint's card names it, or None.
        task: the problem type and the names of the labels.
        max_length: the tokens that are read of a text, special ones included.
        truncation: what is kept of a longer one: "head", "tail" or "head_tail".
        gives_probabilities: False for a regression, whose score is the value itself.
        num_parameters: of the model.
        training: the content of training.json, or None.
        engine: runs the model.
    """

    def __init__(
        self,
        checkpoint: OpenTaskCheckpoint,
        name: str,
        revision: str | None = None,
        engine: Engine | None = None,
    ):
        """Take an open checkpoint and the engine that runs it.

        Args:
            checkpoint: the open folder; without an engine, a TaskCheckpoint with its model.
            name: for messages.
            revision: the commit, or None.
            engine: runs the model; None runs the checkpoint's model with Keras.

        Raises:
            CheckpointError: the tokenizer puts special tokens around texts in an unusual way.
        """
        self.checkpoint, self.name, self.revision = checkpoint, name, revision
        self.task, self.training = checkpoint.task, checkpoint.training
        self.url: str | None = None
        self.licence: str | None = None
        self.engine = engine or KerasEngine(cast(TaskCheckpoint, checkpoint).model)
        self.reader = TextReader(checkpoint.tokenizer, checkpoint.config, self.training, name)
        self.max_length = self.reader.rules.max_seq_length
        self.truncation = "head" if self.task.is_of_tokens else self.reader.rules.truncation
        self.num_parameters: int = self.engine.num_parameters
        stated: str | None = checkpoint.hf_config.problem_type
        self._function = function_of(stated, len(self.task.labels))
        self.gives_probabilities = self._function != "none"

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        revision: str | None = None,
        *,
        engine: str = "auto",
        dtype: DType = "float32",
    ) -> "Classifier":
        """Load a folder or a Hub id.

        Args:
            name: see fetch_checkpoint; "demo" is the bundled classifier, of film reviews.
            revision: of a Hub id; see fetch_checkpoint.
            engine: see FillMask.from_pretrained.
            dtype: see FillMask.from_pretrained.

        Raises:
            HubError: not a name, or the Hub has no such checkpoint, or cannot be reached.
            CheckpointError: the checkpoint is not whole, or not that of a classifier.
            ConfigError: an unknown engine or dtype.
        """
        check_model_name(name, revision)
        if str(name) == DEMO:
            return cls._open_bundled(engine, dtype)
        fetched = fetch_checkpoint(name, revision)
        return cls._open(fetched, shown_name(name), engine, dtype, assets_folder() / "litert")

    @classmethod
    def from_hub(
        cls,
        repo_id: str,
        token: str | None = None,
        *,
        engine: str = "auto",
        dtype: DType = "float32",
    ) -> "Classifier":
        """Load a Hub id on behalf of a visitor; see FillMask.from_hub.

        Raises:
            HubError, CheckpointError: see `from_pretrained`.
        """
        with TemporaryDirectory(prefix="mlm_visitor_") as cache:
            fetched = fetch_from_hub(repo_id, access=Access(token or False, Path(cache)))
            return cls._open(fetched, repo_id, engine, dtype, None)

    @classmethod
    def _open_bundled(cls, engine: str, dtype: DType) -> "Classifier":
        """Load the bundled classifier; if no cache can be written, without one."""
        cache = assets_folder()
        try:
            fetched = Fetched(bundled_classifier(cache / "bundled"), None, None)
        except OSError:
            with TemporaryDirectory(prefix="mlm_bundled_") as temporary:
                fetched = Fetched(bundled_classifier(Path(temporary)), None, None)
                return cls._open(fetched, DEMO, engine, dtype, None)
        return cls._open(fetched, DEMO, engine, dtype, cache / "litert")

    @classmethod
    def _open(
        cls, fetched: Fetched, name: str, engine: str, dtype: DType, cache: Path | None
    ) -> "Classifier":
        name = fetched.repo_id or name
        _check_is_classifier(fetched.folder, name)
        checkpoint, runner = open_task_with_engine(fetched.folder, engine, dtype, cache)
        classifier = cls(checkpoint, name, fetched.commit, runner)
        classifier.url, classifier.licence = fetched.url, licence_of(fetched.folder)
        return classifier

    def __call__(
        self,
        texts: object,
        top_k: int | None = None,
        aggregation_strategy: Strategy | None = None,
    ) -> list[Any]:
        """Return the labels of a text as plain dicts, or a list of these for a list of texts.

        Of whole texts `label, score`, best first, as `pipeline("text-classification", top_k=None)`
        returns them; of words what `pipeline("token-classification")` does. See `classify`.
        """
        if isinstance(texts, list | tuple):
            found = self.answer(texts, top_k, aggregation_strategy)
            return [each.as_pipeline() for each in found]
        return self.answer([texts], top_k, aggregation_strategy)[0].as_pipeline()

    def classify(
        self,
        texts: object,
        top_k: int | None = None,
        aggregation_strategy: Strategy | None = None,
    ) -> Any:
        """Return a Classification for a text or a pair, or a list of these for a list.

        Args:
            texts: a string, or {"text": ..., "text_pair": ...}, or a list of such.
            top_k: the number of labels; None for all of them. Of whole texts only.
            aggregation_strategy: how tokens become entities, see entities.py; None for "first",
                because a training labels the first token of each word. Of words only.

        Raises:
            InputError: not a text; of several, the message names the one.
            ConfigError: an argument that this classifier does not take.
            CheckpointError: the tokenizer fails on a text, or a logit is not finite.
        """
        if isinstance(texts, list | tuple):
            return self.answer(texts, top_k, aggregation_strategy)
        return self.answer([texts], top_k, aggregation_strategy)[0]

    def answer(
        self,
        texts: Sequence[object],
        top_k: int | None = None,
        aggregation_strategy: Strategy | None = None,
    ) -> list[Classification]:
        """Return a Classification for each text of a sequence; see `classify`."""
        self.check_arguments(top_k, aggregation_strategy)
        of_tokens = self.task.is_of_tokens
        read = self.reader.read_for_tokens(texts) if of_tokens else self.reader.read_texts(texts)
        answers = self.engine.logits([each.question for each in read])
        found = []
        for each, logits in zip(read, answers, strict=True):
            check_finite(logits, self.name)
            labels = (
                self._entities(each, logits, aggregation_strategy or DEFAULT_STRATEGY)
                if of_tokens
                else rank_labels(logits[0], self.task.labels, self._function, top_k)
            )
            num_tokens = len(each.question.input_ids)
            given = each.given
            found.append(Classification(given.text, labels, each.note, num_tokens, given.text_pair))
        return found

    def _entities(self, read: ReadText, logits: np.ndarray, strategy: Strategy) -> list[Entity]:
        tokens = [
            ScoredToken(token.token, scores, token.start, token.end, index, token.continues)
            for token, scores, index in zip(
                read.tokens, softmax(logits), read.question.positions, strict=True
            )
        ]
        return find_entities(tokens, self.task.labels, strategy, self.reader.join)

    def check_arguments(self, top_k: object, strategy: object) -> None:
        """Raise ConfigError or InputError for arguments that this classifier does not take."""
        if strategy is not None and strategy not in STRATEGIES:
            raise ConfigError(
                f"aggregation_strategy is {short_repr(strategy)}; expected one of "
                f"{', '.join(STRATEGIES)}"
            )
        if strategy is not None and not self.task.is_of_tokens:
            raise ConfigError(
                f"aggregation_strategy is for classifiers of words; {self.name} labels whole "
                "texts: leave it out"
            )
        if top_k is not None and self.task.is_of_tokens:
            raise ConfigError(
                f"top_k is for classifiers of whole texts; {self.name} labels words: leave it out"
            )
        if top_k is not None and (type(top_k) is not int or top_k < 1):
            raise InputError(f"top_k is {short_repr(top_k)}; expected a whole number from 1.")


def _check_is_classifier(folder: Path, name: str) -> None:
    """Raise CheckpointError for the checkpoint of another kind of model."""
    hf_config = verified_config(folder)
    if stated_task(hf_config) is None:
        stated = ", ".join(map(str, hf_config.architectures or ())) or "no architecture"
        raise CheckpointError(
            f"{name} is not a classifier: its config.json names {stated[:100]}; train one from it "
            "first, with mlm finetune"
        )
