"""The baseline without any encoder: TF-IDF of words and pairs of words, and logistic regression."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlm.backend.startup import prepare_scipy
from mlm.checkpoint.task import Task
from mlm.finetuning.linear import absent_logit, constant_logit

LEAST_TEXTS_OF_PAIRS = 3  # that a word or pair occurs in, where there are enough texts for pairs
MANY_TEXTS = 5000
MOST_ITERATIONS = 1000


def tfidf_scores(
    train: Sequence[str],
    labels: np.ndarray,
    test: Sequence[str],
    task: Task,
    *,
    balanced: bool = False,
) -> np.ndarray:
    """Return the logits (N, L) of test texts by a model of the training texts.

    Words below MANY_TEXTS texts, words and pairs of words from there on: what people would use.
    labels: as ExampleBatches has them.
    balanced: whether rare classes count as much as others.
    """
    prepare_scipy()
    from sklearn.feature_extraction.text import TfidfVectorizer

    many = len(train) >= MANY_TEXTS
    vectorizer = TfidfVectorizer(
        sublinear_tf=True,
        ngram_range=(1, 2) if many else (1, 1),
        min_df=LEAST_TEXTS_OF_PAIRS if many else 1,
    )
    try:
        features, of_test = vectorizer.fit_transform(train), vectorizer.transform(test)
    except ValueError:  # no text has a word, as of emoji alone, or no word occurs often enough
        features, of_test = np.zeros((len(train), 1)), np.zeros((len(test), 1))
    return _scores(features, labels, of_test, task, balanced=balanced)


def _scores(
    features: Any, labels: np.ndarray, test: Any, task: Task, *, balanced: bool
) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression, Ridge

    if task.problem_type == "regression":
        predicted: np.ndarray = Ridge().fit(features, labels).predict(test)
        return predicted[:, None]
    logistic = LogisticRegression(
        C=10.0, max_iter=MOST_ITERATIONS, class_weight="balanced" if balanced else None
    )
    if task.problem_type == "multi_label_classification":
        columns = [_of_label(logistic, features, column, test) for column in labels.T]
        return np.stack(columns, axis=1)
    return _of_classes(logistic, features, labels, test, len(task.labels))


def _of_label(logistic: Any, features: Any, labels: np.ndarray, test: Any) -> np.ndarray:
    """Return the logits (N,) of one label of several."""
    if labels.min() == labels.max():
        return np.full(test.shape[0], constant_logit(labels))
    logits: np.ndarray = logistic.fit(features, labels).decision_function(test)
    return logits


def _of_classes(
    logistic: Any, features: Any, labels: np.ndarray, test: Any, num_labels: int
) -> np.ndarray:
    """Return the logits (N, L) of classes that exclude each other, also of those without a text."""
    logits = np.full((test.shape[0], num_labels), absent_logit(len(labels)))
    present = np.unique(labels)
    logits[:, present] = 0.0
    if len(present) > 1:
        logits[:, present] = logistic.fit(features, labels).predict_log_proba(test)
    return logits
