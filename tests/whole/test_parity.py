"""Our encoder against `transformers`' PyTorch classes: same weights, same logits, both ways."""

import json

import keras
import numpy as np
import pytest
import torch
import transformers

from mlm.checkpoint.families import FAMILIES, encoder_config_of, family_of, new_config
from mlm.checkpoint.folder import read_checkpoint, save_checkpoint
from mlm.errors import CheckpointError
from mlm.inference.engines import litert
from mlm.inference.engines.choice import open_with_engine
from mlm.inference.engines.engine import Question
from mlm.inference.engines.litert import DType
from mlm.model.encoder import MaskedLM
from tests.support.sweeps import sweep

TOLERANCE = 1e-4
SMALL = {
    "vocab_size": 97,
    "hidden_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 160,
    "pad_token_id": 0,
}
SMALL_OF = {
    "albert": {"embedding_size": 16, "num_hidden_groups": 3, "hidden_dropout_prob": 0.0},
    "bert": {},
    "camembert": {"pad_token_id": 1},
    "deberta-v2": {
        "relative_attention": True,
        "position_biased_input": False,
        "pos_att_type": ["p2c", "c2p"],
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_buckets": 32,
    },
    "distilbert": {"hidden_dim": 64},
    "electra": {"embedding_size": 16},
    "modernbert": {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    "mpnet": {"pad_token_id": 1},
    "roberta": {"pad_token_id": 1},
    "xlm-roberta": {"pad_token_id": 1},
}
# Settings to test each family with; ModernBERT has other names for some of them.
VARIANTS = {
    "defaults": {},
    "wide init": {"initializer_range": 0.3},
    "relu": {"hidden_act": "relu"},
    "tanh gelu": {"hidden_act": "gelu_new"},
    "silu, eps": {"hidden_act": "silu", "layer_norm_eps": 1e-3},
    "untied": {"tie_word_embeddings": False},
}
CLIPPED = {"gelu, clipped": {"hidden_act": "gelu_10"}, "laplace": {"hidden_act": "laplace"}}
VARIANTS_OF = {
    "bert": VARIANTS | CLIPPED,
    "albert": VARIANTS | {"one group": {"num_hidden_groups": 1}},
    "deberta-v2": VARIANTS
    | {
        "no buckets": {"position_buckets": -1},
        "segments": {"type_vocab_size": 2},
        "one head": {"num_attention_heads": 1},
        "few buckets": {"position_buckets": 2, "max_relative_positions": 4},
    },
    "distilbert": {
        "defaults": {},
        "wide init": {"initializer_range": 0.3},
        "relu": {"activation": "relu"},
        "silu": {"activation": "silu"},
        "sinusoids": {"sinusoidal_pos_embds": True},
        "untied": {"tie_word_embeddings": False},
    },
    "electra": VARIANTS | {"embeddings as wide as layers": {"embedding_size": 48}},
    "modernbert": {
        "defaults": {},
        "wide init": {"initializer_range": 0.3},
        "short windows": {"local_attention": 8},
        "biases": {
            "norm_bias": True,
            "attention_bias": True,
            "mlp_bias": True,
            "classifier_bias": True,
        },
        "silu, all global, eps": {
            "hidden_activation": "silu",
            "classifier_activation": "silu",
            "global_attn_every_n_layers": 1,
            "norm_eps": 1e-3,
        },
        "untied": {"tie_word_embeddings": False},
        "no decoder bias": {"decoder_bias": False},
    },
    "mpnet": VARIANTS | {"more buckets": {"relative_attention_num_buckets": 40}},
    "roberta": VARIANTS | {"another padding id": {"pad_token_id": 4}},
}


# The published base size, except for the vocabulary: more rows of an embedding prove nothing.
BASE_SIZE = {"vocab_size": 120}
BASE_SIZE_OF = {
    "albert": {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
    "deberta-v2": SMALL_OF["deberta-v2"]
    | {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "position_buckets": 256,
    },
    "modernbert": SMALL_OF["modernbert"] | {"pad_token_id": 0},
    "xlm-roberta": {"max_position_embeddings": 514},
    "camembert": {"max_position_embeddings": 514},
    "roberta": {"max_position_embeddings": 514},
    "mpnet": {"max_position_embeddings": 514},
}
ENGINE_TOLERANCES: dict[DType, float] = {"float32": TOLERANCE, "int8": 0.15}
BASE_LENGTH = 512  # the maximum of most families; ModernBERT's is 8192


def small_settings(family: str, variant: str) -> dict:
    settings = SMALL | SMALL_OF[family] | VARIANTS_OF.get(family, VARIANTS)[variant]
    if family == "distilbert":
        settings.pop("intermediate_size")
    return settings


CASES = {
    f"{family}, {variant}": (family, small_settings(family, variant))
    for family in FAMILIES
    for variant in VARIANTS_OF.get(family, VARIANTS)
}
QUICK_CASES = [*(f"{family}, defaults" for family in FAMILIES), "bert, untied"]
EACH_CASE = pytest.mark.parametrize("name", sweep(CASES, QUICK_CASES))


def torch_model(model_type: str, settings: dict):
    """Return a random PyTorch model whose biases and norms are not exactly 0 or 1."""
    torch.manual_seed(3)
    config = new_config(model_type, **settings)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForMaskedLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def padded_batch(config, longest: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and mask of three sequences: `longest` tokens, half as many, and two.

    longest: by default the maximum of the config.
    """
    length = longest or encoder_config_of(config).max_position_embeddings
    random = np.random.default_rng(0)
    input_ids = random.integers(5, config.vocab_size, (3, length)).astype("int32")
    attention_mask = np.ones((3, length), "int32")
    attention_mask[1, length // 2 :] = 0
    attention_mask[2, 2:] = 0
    return np.where(attention_mask, input_ids, config.pad_token_id), attention_mask


def torch_logits(model, input_ids, attention_mask) -> np.ndarray:
    with torch.no_grad():
        return model(
            input_ids=torch.from_numpy(input_ids).long(),
            attention_mask=torch.from_numpy(attention_mask).long(),
        ).logits.numpy()


def our_logits(model, input_ids, attention_mask) -> np.ndarray:
    rows, length = input_ids.shape
    inputs = {
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "masked_positions": np.tile(np.arange(length, dtype="int32"), (rows, 1)),
    }
    return keras.ops.convert_to_numpy(model(inputs))


def largest_difference(ours, theirs, attention_mask) -> float:
    real = attention_mask.astype(bool)
    return float(np.abs(ours - theirs)[real].max())


@EACH_CASE
def test_a_checkpoint_of_transformers_gives_the_same_logits_here(name, tmp_path, small_tokenizer):
    model_type, settings = CASES[name]
    theirs = torch_model(model_type, settings)
    theirs.save_pretrained(tmp_path)
    small_tokenizer.save_pretrained(tmp_path)
    ours = read_checkpoint(tmp_path)
    assert not ours.fresh_head
    batch = padded_batch(theirs.config)
    expected = torch_logits(theirs, *batch)
    assert np.abs(expected).max() > 0.1
    assert largest_difference(our_logits(ours.model, *batch), expected, batch[1]) < TOLERANCE


@pytest.mark.skipif(not litert.is_installed(), reason="LiteRT is not installed")
@EACH_CASE
def test_the_fast_engine_gives_the_same_logits(name, tmp_path, small_tokenizer):
    model_type, settings = CASES[name]
    theirs = torch_model(model_type, settings)
    theirs.save_pretrained(tmp_path)
    small_tokenizer.save_pretrained(tmp_path)
    if model_type == "deberta-v2" or "laplace" in settings.values():
        with pytest.raises(CheckpointError, match="use the engine keras"):
            open_with_engine(tmp_path, "litert")
        return
    _, engine = open_with_engine(tmp_path, "litert")
    input_ids, mask = padded_batch(theirs.config)
    expected = torch_logits(theirs, input_ids, mask)
    lengths = mask.sum(axis=1).tolist()
    questions = [
        Question(ids[:length].tolist(), list(range(length)))
        for ids, length in zip(input_ids, lengths, strict=True)
    ]
    for ours, padded, length in zip(engine.logits(questions), expected, lengths, strict=True):
        np.testing.assert_allclose(ours, padded[:length], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("family", sweep(FAMILIES, quick=["bert", "modernbert"]))
def test_a_decoder_that_the_config_calls_tied_is_used_as_transformers_uses_it(
    family, tmp_path, small_tokenizer
):
    untied = torch_model(family, small_settings(family, "untied"))
    untied.save_pretrained(tmp_path)
    small_tokenizer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    ours = read_checkpoint(tmp_path)
    batch = padded_batch(theirs.config)
    expected = torch_logits(theirs, *batch)
    assert largest_difference(our_logits(ours.model, *batch), expected, batch[1]) < TOLERANCE
    if litert.is_installed() and family != "deberta-v2":
        _, engine = open_with_engine(tmp_path, "litert")
        question = Question(batch[0][0].tolist(), list(range(batch[0].shape[1])))
        np.testing.assert_allclose(engine.logits([question])[0], expected[0], atol=TOLERANCE)
    save_checkpoint(ours.model, ours.tokenizer, tmp_path / "ours", hf_config=ours.hf_config)
    again = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "ours").eval()
    assert largest_difference(torch_logits(again, *batch), expected, batch[1]) < TOLERANCE


@EACH_CASE
def test_transformers_loads_every_tensor_of_our_checkpoint(name, tmp_path, small_tokenizer):
    model_type, settings = CASES[name]
    hf_config = new_config(model_type, **settings)
    keras.utils.set_random_seed(5)
    ours = MaskedLM(encoder_config_of(hf_config))
    ours.build()
    save_checkpoint(ours, small_tokenizer, tmp_path, hf_config=hf_config)
    theirs, loading = transformers.AutoModelForMaskedLM.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    assert not loading["mismatched_keys"]
    batch = padded_batch(hf_config)
    expected = torch_logits(theirs.eval(), *batch)
    assert largest_difference(our_logits(ours, *batch), expected, batch[1]) < TOLERANCE


@EACH_CASE
def test_a_round_trip_is_bit_identical(name, tmp_path, small_tokenizer):
    from safetensors.numpy import load_file

    model_type, settings = CASES[name]
    torch_model(model_type, settings).save_pretrained(tmp_path / "theirs")
    small_tokenizer.save_pretrained(tmp_path / "theirs")
    read = read_checkpoint(tmp_path / "theirs")
    save_checkpoint(read.model, read.tokenizer, tmp_path / "ours", hf_config=read.hf_config)
    before = load_file(tmp_path / "theirs" / "model.safetensors")
    after = load_file(tmp_path / "ours" / "model.safetensors")
    second_names = family_of(model_type).same_tensors(read.model.config)
    for second, first in second_names.items():  # transformers ignores the second of two names
        if second in before:
            before[second] = before[first]
    assert before.keys() == after.keys()
    for tensor_name, value in before.items():
        np.testing.assert_array_equal(after[tensor_name], value, err_msg=tensor_name)


@pytest.mark.parametrize("family", sweep(FAMILIES, quick=[]))
def test_at_base_size(family, tmp_path, small_tokenizer):
    theirs = torch_model(family, BASE_SIZE | BASE_SIZE_OF.get(family, {}))
    theirs.save_pretrained(tmp_path)
    small_tokenizer.save_pretrained(tmp_path)
    ours = read_checkpoint(tmp_path)
    batch = padded_batch(theirs.config, BASE_LENGTH)
    logits = our_logits(ours.model, *batch)
    difference = largest_difference(logits, torch_logits(theirs, *batch), batch[1])
    print(f"{family}: largest difference of a logit {difference:.1e}")
    assert difference < TOLERANCE
    question = Question(batch[0][0].tolist(), list(range(BASE_LENGTH)))
    has_graph = litert.is_installed() and family != "deberta-v2"
    for dtype, tolerance in ENGINE_TOLERANCES.items() if has_graph else ():
        _, engine = open_with_engine(tmp_path, "litert", dtype)
        difference = float(np.abs(engine.logits([question])[0] - logits[0]).max())
        print(f"{engine.kind}: {difference:.1e} of {np.abs(logits[0]).max():.1f}")
        assert difference < tolerance
