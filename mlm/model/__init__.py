"""The encoder and its heads in Keras 3, for any backend.

encoder_config.py    EncoderConfig: the shape of an encoder, whatever its family; no library
encoder.py           Encoder: token ids to hidden states; MaskedLM: logits at masked positions
task_model.py        TaskModel: token ids to the logits of labels, of texts or of tokens
task_head.py         the head of a supervised task
layers.py            embeddings, feed-forward, encoder layer, prediction head
attention.py         self-attention, rotary and relative positions
position_buckets.py  relative position buckets of T5 and DeBERTa
blocks.py            activations, initializers, dense layers, norms
fused/               the operations other than matmuls, fused if the backend can
"""
