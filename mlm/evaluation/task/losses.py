"""Loss of each element from its logits, as training has it, but without label smoothing."""

import numpy as np


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of the probabilities over the last axis, in float64."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (N,) cross-entropies in nats, of (N, L) logits and (N,) label ids."""
    return np.asarray(-log_softmax(logits)[np.arange(len(labels)), labels])


def binary_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (N,) means over the labels of the binary cross-entropy in nats.

    logits, labels: (N, L); a label is 1 where it applies and else 0.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels, np.float64)
    # -log(sigmoid(x)) = log(1 + exp(-x)), and the same with x negated for the other side.
    of_each = labels * np.logaddexp(0, -logits) + (1 - labels) * np.logaddexp(0, logits)
    return np.asarray(of_each.mean(-1))


def squared_error(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (N,) squared differences of predictions and labels, both (N,)."""
    return (np.asarray(logits, np.float64) - np.asarray(labels, np.float64)) ** 2
