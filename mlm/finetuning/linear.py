"""A linear model on fixed features: logistic regression by class or label, ridge for numbers.

Its strength of regularization is chosen on the training labels alone, by cross-validation: choosing
it on a large held-out set would flatter a model of few labels.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlm.backend.startup import prepare_scipy
from mlm.checkpoint.task import Task

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # inverse regularization C, of standardized features
FEW = 0.1  # C where a class has too few labels to choose it
FOLDS = 5
MOST_TO_CHOOSE_BY = 4000  # rows: the choice of C does not need more
MOST_ITERATIONS = 1000


@dataclass(frozen=True)
class LinearModel:
    """Logits = features @ kernel + bias; kernel (D, L), bias (L,), float32."""

    kernel: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return the logits (N, L) of features (N, D)."""
        logits: np.ndarray = features @ self.kernel + self.bias
        return logits


def fit_linear(
    features: np.ndarray, labels: np.ndarray, task: Task, *, balanced: bool = False
) -> LinearModel:
    """Fit a linear model to features (N, D), which are standardized for that.

    labels: as ExampleBatches has them: (N,) int, (N, L) 0 or 1, or (N,) float.
    balanced: whether rare classes count as much as others.
    """
    center, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-6, scale, 1.0)
    standardized = (features - center) / scale
    kernel, bias = _fit_standardized(standardized, labels, task, balanced=balanced)
    kernel = kernel / scale[:, None]
    return LinearModel(kernel.astype(np.float32), (bias - center @ kernel).astype(np.float32))


def _fit_standardized(
    features: np.ndarray, labels: np.ndarray, task: Task, *, balanced: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel (D, L) and bias (L,)."""
    if task.problem_type == "regression":
        return _ridge(features, labels)
    if task.problem_type == "multi_label_classification":
        columns = [
            _binary(features, labels[:, index], balanced=balanced)
            for index in range(len(task.labels))
        ]
        kernels, biases = zip(*columns, strict=True)
        return np.stack(kernels, axis=1), np.array(biases)
    return _classes(features, labels, len(task.labels), balanced=balanced)


def _classes(
    features: np.ndarray, labels: np.ndarray, num_labels: int, *, balanced: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel and bias of classes that exclude each other.

    A class without an example has `absent_logit`, which is negative. The logits of the other
    classes have the mean 0, so that one of them is higher.
    """
    present = np.unique(labels)
    kernel = np.zeros((features.shape[1], num_labels))
    bias = np.full(num_labels, absent_logit(len(labels)))
    bias[present] = 0.0
    if len(present) == 1:
        return kernel, bias
    model = _logistic(features, labels, balanced=balanced)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(present) == 2:  # one row of weights: the second class against the first
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    kernel[:, present], bias[present] = coefficients.T, intercepts
    return kernel, bias


def _ridge(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    prepare_scipy()
    from sklearn.linear_model import RidgeCV

    model = RidgeCV(alphas=[1 / strength for strength in STRENGTHS]).fit(features, labels)
    return model.coef_[:, None], np.array([model.intercept_])


def _binary(
    features: np.ndarray, labels: np.ndarray, *, balanced: bool
) -> tuple[np.ndarray, float]:
    """Return kernel (D,) and bias of one label of several; a constant if all texts agree on it."""
    if labels.min() == labels.max():
        return np.zeros(features.shape[1]), constant_logit(labels)
    model = _logistic(features, labels.astype(np.int32), balanced=balanced)
    return model.coef_[0], float(model.intercept_[0])


def constant_logit(labels: np.ndarray) -> float:
    """Return the logit of a label that all texts have, or none: of its share, with half a text."""
    share = (labels.sum() + 0.5) / (len(labels) + 1.0)
    return float(np.log(share / (1 - share)))


def absent_logit(examples: int) -> float:
    """Return the logit of a class without an example: the logarithm of half an example's share."""
    return float(np.log(0.5 / (examples + 1.0)))


def _logistic(features: np.ndarray, labels: np.ndarray, *, balanced: bool) -> Any:
    prepare_scipy()
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        C=_choose_strength(features, labels),
        class_weight="balanced" if balanced else None,
        max_iter=MOST_ITERATIONS,
    ).fit(features, labels)


def _choose_strength(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the C with the best log-likelihood in cross-validation."""
    prepare_scipy()
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    rows = np.random.default_rng(0).permutation(len(labels))[:MOST_TO_CHOOSE_BY]
    folds = min(FOLDS, int(np.unique(labels[rows], return_counts=True)[1].min()))
    if folds < 2 or len(np.unique(labels[rows])) < len(np.unique(labels)):
        return FEW
    model: BaseEstimator = LogisticRegression(max_iter=MOST_ITERATIONS)
    search = GridSearchCV(
        model,
        {"C": STRENGTHS},
        scoring="neg_log_loss",
        cv=StratifiedKFold(folds, shuffle=True, random_state=0),
    )
    chosen: float = search.fit(features[rows], labels[rows]).best_params_["C"]
    return chosen
