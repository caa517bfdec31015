"""The linear model of a probe equals scikit-learn's on standardized features."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.preprocessing import StandardScaler

from mlm.checkpoint.task import Task
from mlm.finetuning import linear
from mlm.finetuning.linear import STRENGTHS, LinearModel, fit_linear

RANDOM = np.random.default_rng(3)
FEATURES = (RANDOM.normal(size=(90, 7)) * np.arange(1, 8) + 5).astype("float32")
SCORES = FEATURES @ RANDOM.normal(size=(7, 3))


def task_of(kind: str, labels: int) -> Task:
    return Task(kind, tuple("abc"[:labels]))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def one_strength(monkeypatch):
    """Leave the choice of C out, so that one fit is compared with one."""
    monkeypatch.setattr(linear, "_choose_strength", lambda features, labels: 0.1)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("balanced", [False, True])
def test_classes_have_the_decision_function_of_logistic_regression(classes, balanced):
    labels = SCORES[:, :classes].argmax(1)
    task = task_of("single_label_classification", classes)
    logits = fit_linear(FEATURES, labels, task, balanced=balanced).logits(FEATURES)
    scaled = StandardScaler().fit_transform(FEATURES)
    theirs = LogisticRegression(
        C=0.1, max_iter=1000, class_weight="balanced" if balanced else None
    ).fit(scaled, labels)
    decision = theirs.decision_function(scaled)
    if classes == 2:
        np.testing.assert_allclose(logits[:, 1] - logits[:, 0], decision, atol=2e-3)
        np.testing.assert_allclose(logits[:, 1], -logits[:, 0], atol=1e-4)
    else:
        np.testing.assert_allclose(logits, decision, atol=2e-3)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(shares, theirs.predict_proba(scaled), atol=1e-3)


@pytest.mark.parametrize("present", [[2], [0, 2], [1, 2, 3]])
@pytest.mark.parametrize("kind", ["single_label_classification", "token_classification"])
def test_a_class_without_an_example_has_a_logit_and_is_never_the_best(present, kind):
    labels = np.array(present)[SCORES[:, : len(present)].argmax(1)]
    model = fit_linear(FEATURES, labels, Task(kind, tuple("abcd")))
    assert (model.kernel.shape, model.bias.shape) == ((7, 4), (4,))
    others = 100 * RANDOM.normal(size=(1000, 7)).astype("float32")
    logits = model.logits(np.concatenate([FEATURES, others, others / 1e4]))
    assert set(logits.argmax(1)) == set(present)
    absent = np.setdiff1d(np.arange(4), present)
    np.testing.assert_allclose(logits[:, absent], np.log(0.5 / 91), rtol=1e-4)
    if len(present) > 1:
        own = fit_linear(FEATURES, np.searchsorted(present, labels), task_of(kind, len(present)))
        np.testing.assert_allclose(logits[:90, present], own.logits(FEATURES), atol=1e-3)


def test_each_of_several_labels_has_a_model_and_a_constant_one_its_share():
    labels = (np.median(SCORES, axis=0) < SCORES).astype("float32")
    labels[:, 2] = 1.0
    model = fit_linear(FEATURES, labels, task_of("multi_label_classification", 3))
    logits = model.logits(FEATURES)
    scaled = StandardScaler().fit_transform(FEATURES)
    for index in (0, 1):
        theirs = LogisticRegression(C=0.1, max_iter=1000).fit(scaled, labels[:, index])
        np.testing.assert_allclose(logits[:, index], theirs.decision_function(scaled), atol=2e-3)
    np.testing.assert_allclose(logits[:, 2], np.log(90.5 / 0.5), rtol=1e-4)


def test_numbers_have_a_ridge():
    labels = SCORES[:, 0].astype("float32")
    found = fit_linear(FEATURES, labels, task_of("regression", 1)).logits(FEATURES)
    scaled = StandardScaler().fit_transform(FEATURES)
    theirs = RidgeCV(alphas=[1 / strength for strength in STRENGTHS]).fit(scaled, labels)
    np.testing.assert_allclose(found[:, 0], theirs.predict(scaled), atol=1e-3)


def test_a_constant_feature_is_no_trouble():
    features = np.concatenate([FEATURES, np.full((90, 1), 4.0, "float32")], axis=1)
    labels = SCORES[:, :2].argmax(1)
    model = fit_linear(features, labels, task_of("single_label_classification", 2))
    assert np.isfinite(model.kernel).all()
    assert model.kernel[-1] == pytest.approx(0.0, abs=1e-6)
    assert (model.kernel.dtype, model.bias.dtype) == (np.float32, np.float32)


def test_logits_are_the_product():
    model = LinearModel(np.eye(2, dtype="float32"), np.array([1.0, -1.0], "float32"))
    np.testing.assert_array_equal(model.logits(np.array([[2.0, 3.0]], "float32")), [[3.0, 2.0]])


def test_the_strength_is_chosen_by_cross_validation_where_there_are_labels_enough(monkeypatch):
    monkeypatch.undo()
    noise = RANDOM.normal(size=(60, 40)).astype("float32")
    labels = np.arange(60) % 2
    assert linear._choose_strength(noise, labels) <= 0.01  # nothing to learn
    clear = noise + 8 * labels[:, None]
    assert linear._choose_strength(clear, labels) == max(STRENGTHS)
    assert linear._choose_strength(noise[:2], labels[:2]) == linear.FEW
