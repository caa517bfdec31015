"""The baseline without any encoder: TF-IDF of words and pairs of words, and logistic regression."""

from collections.abc import Sequence

import numpy as np

from mlm.backend.startup import prepare_scipy
from mlm.checkpoint.task import Task

LEAST_TEXTS_OF_PAIRS = 3  # that a word or pair occurs in, where there are enough texts for pairs
MANY_TEXTS = 5000
MOST_ITERATIONS = 1000


def tfidf_scores(
    train: Sequence[str], labels: np.ndarray, test: Sequence[str], task: Task
) -> np.ndarray:
    """Return the logits (N, L) of test texts by a model of the training texts.

    Words below MANY_TEXTS texts, words and pairs of words from there on: what people would use.
    labels: as ExampleBatches has them.
    """
    prepare_scipy()
    from sklearn.feature_extraction.text import TfidfVectorizer

    many = len(train) >= MANY_TEXTS
    vectorizer = TfidfVectorizer(
        sublinear_tf=True,
        ngram_range=(1, 2) if many else (1, 1),
        min_df=LEAST_TEXTS_OF_PAIRS if many else 1,
    )
    features = vectorizer.fit_transform(train)
    return _scores(features, labels, vectorizer.transform(test), task)


def _scores(features: object, labels: np.ndarray, test: object, task: Task) -> np.ndarray:
    prepare_scipy()
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.multiclass import OneVsRestClassifier

    if task.problem_type == "regression":
        predicted: np.ndarray = Ridge().fit(features, labels).predict(test)
        return predicted[:, None]
    logistic = LogisticRegression(C=10.0, max_iter=MOST_ITERATIONS)
    if task.problem_type == "multi_label_classification":
        shares = OneVsRestClassifier(logistic).fit(features, labels).predict_proba(test)
        shares = np.clip(shares, 1e-7, 1 - 1e-7)
        logits: np.ndarray = np.log(shares) - np.log1p(-shares)
        return logits
    log_shares: np.ndarray = logistic.fit(features, labels).predict_log_proba(test)
    return log_shares
