"""Relative position buckets: the row of a learned table for each relative position i - j."""

import numpy as np

from mlm.model.encoder_config import EncoderConfig


def t5_buckets(longest: int, buckets: int = 32, furthest: int = 128) -> np.ndarray:
    """Return the bucket of each relative position -(longest-1)..longest-1, int32.

    Half the buckets are for tokens ahead. In each half, the near half of the buckets hold one
    position each, the others hold ranges that grow logarithmically. MPNet always uses 32 buckets,
    whatever its config says.

    Source: Raffel et al. 2020 (T5).
    """
    position = np.arange(-(longest - 1), longest)
    half, near = buckets // 2, buckets // 4
    far = np.log(np.maximum(np.abs(position), 1).astype("float32") / np.float32(near))
    far = near + (far / np.float32(np.log(furthest / near)) * (half - near)).astype("int64")
    bucket = np.where(np.abs(position) < near, np.abs(position), np.minimum(far, half - 1))
    return (bucket + half * (position < 0)).astype("int32")


def deberta_buckets(config: EncoderConfig) -> np.ndarray:
    """Return the bucket of each relative position -(L-1)..L-1, int32, L the longest sequence.

    With `position_buckets`, the near half hold one position each, the others are logarithmic.

    Source: He et al. 2021 (DeBERTa), and transformers' make_log_bucket_position.
    """
    longest, span = config.max_position_embeddings, config.relative_span
    position = np.arange(-(longest - 1), longest)
    if config.position_buckets:
        near = span // 2
        size = np.maximum(np.abs(position), near).astype("float32")
        log_ratio = np.log(np.float32((config.max_relative_positions - 1) / near))
        far = np.ceil(np.log(size / np.float32(near)) / log_ratio * np.float32(near - 1)) + near
        position = np.where(np.abs(position) <= near, position, far * np.sign(position))
    return np.clip(position + span, 0, 2 * span - 1).astype("int32")
