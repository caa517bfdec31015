"""Which row of a learned table the distance between two tokens has, as two families count."""

import numpy as np

from mlm.model.encoder_config import EncoderConfig


def t5_buckets(longest: int, buckets: int = 32, furthest: int = 128) -> np.ndarray:
    """The bucket of each distance -(longest-1)..longest-1, int32 (Raffel et al. 2020, T5).

    Half the buckets are for tokens ahead; of each half, the near half hold one distance each, the
    others ever more of them. MPNet has 32 of them, whatever its config says.
    """
    distance = np.arange(-(longest - 1), longest)
    half, near = buckets // 2, buckets // 4
    far = np.log(np.maximum(np.abs(distance), 1).astype("float32") / np.float32(near))
    far = near + (far / np.float32(np.log(furthest / near)) * (half - near)).astype("int64")
    bucket = np.where(np.abs(distance) < near, np.abs(distance), np.minimum(far, half - 1))
    return (bucket + half * (distance < 0)).astype("int32")


def deberta_buckets(config: EncoderConfig) -> np.ndarray:
    """The row of each distance, int32: the near half one each, the others by their logarithm.

    Source: He et al. 2021 (DeBERTa), and transformers' make_log_bucket_position.
    """
    longest, span = config.max_position_embeddings, config.distance_span
    distance = np.arange(-(longest - 1), longest)
    if config.position_buckets:
        near = span // 2
        size = np.maximum(np.abs(distance), near).astype("float32")
        log_ratio = np.log(np.float32((config.max_relative_positions - 1) / near))
        far = np.ceil(np.log(size / np.float32(near)) / log_ratio * np.float32(near - 1)) + near
        distance = np.where(np.abs(distance) <= near, distance, far * np.sign(distance))
    return np.clip(distance + span, 0, 2 * span - 1).astype("int32")
