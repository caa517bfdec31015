"""The benchmarks' data: IMDB texts, and models of random weights with the real vocabulary.

MLM_SHARED_DATA names the folder of the texts and the vocabulary; docs/data.md has their sources.
"""

import os
import tempfile
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("MLM_SHARED_DATA", ROOT.parent / "shared" / "data"))
IMDB = {name: DATA / "imdb" / f"{name}.csv.gz" for name in ("train", "unsup", "test_4k")}
VOCABULARY = DATA / "tokenizers" / "bert-base-uncased-vocab.txt"

BASE: dict[str, int] = {}  # the default shape of a BERT config
SMALL = {
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
}
WORDS = (
    "i have watched this [MASK] and it was awesome because the whole story keeps its pace and "
    "every actor seems to know why the scene matters so much that nobody in the room looked away"
)


@dataclass
class Material:
    """Models and texts of a run of the benchmarks; models are made at their first use."""

    folder: Path
    models: dict[str, str] = field(default_factory=dict)

    def model(self, name: str, shape: dict[str, int]) -> str:
        """Return the folder of a model of this name; `shape` has the sizes of its config."""
        if name not in self.models:
            self.models[name] = make_model(self.folder / name, shape)
        return self.models[name]

    def sentence(self, tokens: int) -> str:
        """Return a text of `tokens` tokens, [CLS] and [SEP] included: a token a word of WORDS."""
        first, others = WORDS.split(), cycle(WORDS.replace("[MASK]", "film").split())
        return " ".join(islice([*first, *islice(others, tokens)], tokens - 2))

    def reviews(self, count: int) -> list[str]:
        """Return the first sentences, of 5 to 40 words, of IMDB's held-out reviews."""
        import csv
        import gzip
        import re

        with gzip.open(IMDB["test_4k"], "rt", encoding="utf-8") as stream:
            firsts = (re.split(r"(?<=[.!?])\s", row["text"])[0] for row in csv.DictReader(stream))
            fit = [text for text in firsts if 5 <= len(text.split()) <= 40 and "<" not in text]
        return fit[:count]

    def texts(self, count: int) -> list[str]:
        """Return whole held-out reviews without markup."""
        import pandas

        reviews = pandas.read_csv(IMDB["test_4k"], usecols=["text"])["text"]
        return [text for text in reviews if "<" not in text][:count]

    def labelled(self, name: str, rows: slice) -> str:
        """Write some labelled reviews, in a shuffled order, to a CSV file and return its path."""
        import pandas

        path = self.folder / f"{name}.csv"
        reviews = pandas.read_csv(IMDB["train"], usecols=["polarity", "text"])
        reviews.sample(frac=1, random_state=0).iloc[rows].to_csv(path, index=False)
        return str(path)

    def classifier(self, name: str, shape: dict[str, int]) -> str:
        """Return the folder of a model of this name with a head of two labels, drawn at random."""
        folder = self.folder / f"{name}_classifier"
        if not folder.exists():
            save_classifier(self.model(name, shape), folder)
        return str(folder)

    def held_out(self, model: str) -> str:
        """Write 128 masked sequences of held-out reviews to an .npz file and return its path."""
        import numpy as np

        from mlm.checkpoint.tokenizer import load_tokenizer
        from mlm.data.batches.evaluation_batches import evaluation_batches
        from mlm.data.tokens.token_facts import TokenFacts
        from mlm.evaluation.held_out import resolve_held_out, tokenize_held_out

        tokenizer = load_tokenizer(model)
        texts, _ = resolve_held_out(None, validation_file=(str(IMDB["test_4k"]),))
        ((inputs, labels, weights), *_) = evaluation_batches(
            tokenize_held_out(texts, tokenizer),
            TokenFacts.of(tokenizer),
            max_seq_length=128,
            batch_size=128,
            line_by_line=False,
            max_sequences=128,
            whole_word_mask=False,
        )
        path = self.folder / "held_out.npz"
        np.savez(
            path,
            input_ids=inputs["input_ids"],
            masked_positions=inputs["masked_positions"],
            labels=labels,
            real=weights > 0,
        )
        return str(path)


def save_classifier(model: str, folder: Path) -> None:
    """Save a masked LM as a classifier of two labels."""
    from mlm.checkpoint.folder import save_checkpoint
    from mlm.checkpoint.task import Task
    from mlm.checkpoint.task_checkpoint import read_task_checkpoint

    task = Task("single_label_classification", ("negative", "positive"))
    checkpoint = read_task_checkpoint(model, task, seed=1)
    stated = {"truncation": "head", "max_seq_length": 256}
    save_checkpoint(
        checkpoint.model,
        checkpoint.tokenizer,
        folder,
        hf_config=checkpoint.hf_config,
        training={"task": {"problem_type": task.problem_type, "labels": task.labels, **stated}},
    )


def copy_in_float32(model: str, folder: Path) -> None:
    """Save a copy of a checkpoint with float32 weights; imports PyTorch."""
    import transformers

    (name,) = transformers.AutoConfig.from_pretrained(model).architectures
    getattr(transformers, name).from_pretrained(model, dtype="float32").save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(model).save_pretrained(folder)


def make_model(folder: Path, shape: dict[str, int]) -> str:
    """Save a BERT checkpoint of random weights with the vocabulary of bert-base-uncased."""
    import shutil

    from mlm.backend.startup import load_backend

    # If there is a GPU, all of its memory is for the processes that are measured.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    load_backend()
    import keras

    from mlm.checkpoint.families import encoder_config_of, new_config, special_token_ids
    from mlm.checkpoint.folder import save_checkpoint
    from mlm.checkpoint.tokenizer import load_tokenizer
    from mlm.model.encoder import MaskedLM

    with tempfile.TemporaryDirectory() as vocabulary:
        shutil.copy(VOCABULARY, Path(vocabulary) / "vocab.txt")
        tokenizer = load_tokenizer(vocabulary)
    sizes = {"vocab_size": len(tokenizer), **special_token_ids("bert", tokenizer), **shape}
    hf_config = new_config("bert", **sizes)
    keras.utils.set_random_seed(1)
    model = MaskedLM(encoder_config_of(hf_config))
    model.build()
    save_checkpoint(model, tokenizer, folder, hf_config=hf_config)
    return str(folder)
