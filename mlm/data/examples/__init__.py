"""Labelled texts to batches of token ids with labels, each a function of (seed, step).

truncation.py          choose the tokens of a text that is too long: head, tail, or both
special_tokens.py      put the tokenizer's special tokens around a text or a pair
example_encoding.py    encode texts, pairs and words to at most max_seq_length ids; also to answer
encoded_examples.py    EncodedExamples: the ids and labels of many texts: encode_examples
class_weights.py       weights that balance classes
example_batches.py     the batches of training
example_evaluation_batches.py
                       all examples once, in batches of similar length
"""
