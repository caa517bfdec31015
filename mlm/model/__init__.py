"""The encoder and its heads in Keras 3, for any backend.

encoder_config.py    EncoderConfig: the shape of an encoder, whatever its family; no library
encoder.py           MaskedLM: token ids to logits at the masked positions
layers.py            embeddings, feed-forward, encoder layer, prediction head
attention.py         self-attention, rotary and relative positions
position_buckets.py  relative position buckets of T5 and DeBERTa
blocks.py            activations, initializers, dense layers, norms
fused/               the operations other than matmuls, fused if the backend can
"""
