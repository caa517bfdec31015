"""Plain-NumPy BERT and ModernBERT masked LMs in float64, read directly from a checkpoint.

Slow: one sequence and one head at a time, without padding. Shares no code with the encoder that it
checks. Tensors keep PyTorch's names and layouts.

Source: Devlin et al. 2019, Warner et al. 2024, and the modelling files of transformers.
"""

import json
import math
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

_erf = np.vectorize(math.erf, otypes=[np.float64])


def gelu(x):
    """Return the exact GELU."""
    return x * (1 + _erf(x / math.sqrt(2))) / 2


def softmax(x):
    """Return the softmax over the last axis."""
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def log_softmax(x):
    """Return the logarithm of the softmax over the last axis."""
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


class PlainMaskedLM:
    """A masked LM of the family that the checkpoint's config names."""

    def __init__(self, folder: Path):
        self.config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        stored = load_file(folder / "model.safetensors")
        self.tensors = {name: value.astype(np.float64) for name, value in stored.items()}

    def logits(self, ids: np.ndarray) -> np.ndarray:
        """Return the logits (T, V) float64 of one sequence (T,) without padding."""
        of_family = {"bert": self._bert, "modernbert": self._modernbert}
        return of_family[self.config["model_type"]](ids)

    def cross_entropy(self, inputs: dict, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the cross-entropy of each label of a batch, (B, P) float64; 0 at weight 0."""
        losses = np.zeros(labels.shape)
        for row, ids in enumerate(inputs["input_ids"]):
            length = int(inputs["attention_mask"][row].sum())
            log_probabilities = log_softmax(self.logits(ids[:length]))
            for slot in np.flatnonzero(weights[row]):
                position = inputs["masked_positions"][row, slot]
                losses[row, slot] = -log_probabilities[position, labels[row, slot]]
        return losses

    # Operations that both families share

    def _linear(self, x, name: str):
        bias = self.tensors.get(f"{name}.bias", 0.0)
        return x @ self.tensors[f"{name}.weight"].T + bias

    def _norm(self, x, name: str, epsilon: float):
        centred = x - x.mean(-1, keepdims=True)
        normed = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return normed * self.tensors[f"{name}.weight"] + self.tensors.get(f"{name}.bias", 0.0)

    def _attend(self, query, key, value, may_see):
        """Return the attention of (T, H) arrays; may_see (T, T) bool."""
        heads = self.config["num_attention_heads"]
        mixed = []
        for q, k, v in zip(*(np.split(x, heads, -1) for x in (query, key, value)), strict=True):
            scores = q @ k.T / math.sqrt(q.shape[-1])
            mixed.append(softmax(np.where(may_see, scores, -np.inf)) @ v)
        return np.concatenate(mixed, -1)

    # The families

    def _bert(self, ids):
        epsilon = self.config["layer_norm_eps"]
        table = self.tensors["bert.embeddings.word_embeddings.weight"]
        x = table[ids] + self.tensors["bert.embeddings.position_embeddings.weight"][: len(ids)]
        x = x + self.tensors["bert.embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x, "bert.embeddings.LayerNorm", epsilon)
        everything = np.ones((len(ids), len(ids)), bool)
        for index in range(self.config["num_hidden_layers"]):
            name = f"bert.encoder.layer.{index}"
            parts = [
                self._linear(x, f"{name}.attention.self.{part}")
                for part in ("query", "key", "value")
            ]
            mixed = self._linear(self._attend(*parts, everything), f"{name}.attention.output.dense")
            x = self._norm(x + mixed, f"{name}.attention.output.LayerNorm", epsilon)
            wide = gelu(self._linear(x, f"{name}.intermediate.dense"))
            wide = self._linear(wide, f"{name}.output.dense")
            x = self._norm(x + wide, f"{name}.output.LayerNorm", epsilon)
        x = gelu(self._linear(x, "cls.predictions.transform.dense"))
        x = self._norm(x, "cls.predictions.transform.LayerNorm", epsilon)
        return x @ table.T + self.tensors["cls.predictions.bias"]

    def _modernbert(self, ids):
        config, epsilon = self.config, self.config["norm_eps"]
        table = self.tensors["model.embeddings.tok_embeddings.weight"]
        x = self._norm(table[ids], "model.embeddings.norm", epsilon)
        for index, kind in enumerate(config["layer_types"]):
            name = f"model.layers.{index}"
            normed = self._norm(x, f"{name}.attn_norm", epsilon) if index else x
            query, key, value = np.split(self._linear(normed, f"{name}.attn.Wqkv"), 3, -1)
            theta = config["rope_parameters"][kind]["rope_theta"]
            query, key = self._rotate(query, theta), self._rotate(key, theta)
            mixed = self._attend(query, key, value, self._window(len(ids), kind))
            x = x + self._linear(mixed, f"{name}.attn.Wo")
            normed = self._norm(x, f"{name}.mlp_norm", epsilon)
            inner, gate = np.split(self._linear(normed, f"{name}.mlp.Wi"), 2, -1)
            x = x + self._linear(gelu(inner) * gate, f"{name}.mlp.Wo")
        x = gelu(self._linear(self._norm(x, "model.final_norm", epsilon), "head.dense"))
        return self._norm(x, "head.norm", epsilon) @ table.T + self.tensors["decoder.bias"]

    def _window(self, length: int, kind: str):
        distance = np.abs(np.arange(length)[:, None] - np.arange(length))
        reach = length if kind == "full_attention" else self.config["local_attention"] // 2
        return distance <= reach

    def _rotate(self, x, theta: float):
        """Rotate each pair (d, d + D/2) of a head by position * theta**(-2d/D)."""
        heads = []
        for head in np.split(x, self.config["num_attention_heads"], -1):
            half = head.shape[-1] // 2
            angles = np.arange(len(x))[:, None] * theta ** (-np.arange(half) / half)
            turned = (head[:, :half] + 1j * head[:, half:]) * np.exp(1j * angles)
            heads.append(np.concatenate([turned.real, turned.imag], -1))
        return np.concatenate(heads, -1)
