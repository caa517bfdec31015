"""Tests of mlm/model.

Covered elsewhere:
    attention, layers by test_encoder
    blocks by test_encoder, test_fused_tensorflow
    encoder_config by checkpoint/test_families
    fused/pointwise by test_fused, test_fused_tensorflow
    task_head by test_task_model
    position_buckets by test_encoder, whole/test_parity
"""
