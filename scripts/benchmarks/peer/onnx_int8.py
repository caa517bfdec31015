"""Answers of ONNX Runtime with dynamic int8 weights.

Scales per channel were slower, and the optimizer of ONNX Runtime for BERT changed nothing
(2026-11).
"""

import tempfile

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from timing import Measurement, Word, peak_megabytes, time_calls, token_scores
from transformers import AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerBase

from peer import THREADS

INPUTS = ["input_ids", "attention_mask"]


def fill_int8(model: str, sentences: list[str], times: int) -> Measurement:
    """Fill the mask of one sentence; the time includes tokenization and softmax."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/int8.onnx"
        convert(model, tokenizer, sentences[0], f"{folder}/model.onnx", path)
        session = open_session(path)
        seconds, words = time_calls(lambda: best_words(session, tokenizer, sentences[0]), times)
    return {"seconds": seconds, "result": [token_scores(words)], "megabytes": peak_megabytes()}


def convert(
    model: str, tokenizer: PreTrainedTokenizerBase, example: str, float32: str, int8: str
) -> None:
    """Write a checkpoint as the ONNX files `float32` and `int8`; example: a text to trace with."""
    network = AutoModelForMaskedLM.from_pretrained(model).eval()
    inputs = tokenizer(example, return_tensors="pt")
    torch.onnx.export(
        network, tuple(inputs[name] for name in INPUTS), float32, input_names=INPUTS,
        output_names=["logits"], dynamo=False,
        dynamic_axes={name: {0: "rows", 1: "tokens"} for name in [*INPUTS, "logits"]},
    )  # fmt: skip
    quantize_dynamic(float32, int8, weight_type=QuantType.QInt8)


def open_session(path: str) -> onnxruntime.InferenceSession:
    """Load an ONNX file, to be run with THREADS threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(path, options)


def best_words(
    session: onnxruntime.InferenceSession, tokenizer: PreTrainedTokenizerBase, sentence: str
) -> list[Word]:
    """Return the five best tokens for the mask of a sentence, with their probabilities."""
    inputs = tokenizer(sentence, return_tensors="np")
    (logits,) = session.run(None, {name: inputs[name] for name in INPUTS})
    mask = int(np.flatnonzero(inputs["input_ids"][0] == tokenizer.mask_token_id)[0])
    row = logits[0, mask] - logits[0, mask].max()
    scores = np.exp(row) / np.exp(row).sum()
    return [{"token": int(i), "score": float(scores[i])} for i in np.argsort(-scores)[:5]]
