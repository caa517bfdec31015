"""Our encoder against `transformers`' PyTorch classes: same weights, same logits, both ways."""

import keras
import numpy as np
import pytest
import torch
import transformers

from mlm.checkpoint import read_checkpoint, save_checkpoint
from mlm.encoder import MaskedLM
from mlm.families import encoder_config_of, new_config

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
TOKEN_IDS = {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
CASES = {
    "bert": ("bert", SMALL),
    "bert, wide init": ("bert", SMALL | {"initializer_range": 0.3}),
    "bert, relu, eps": ("bert", SMALL | {"hidden_act": "relu", "layer_norm_eps": 1e-3}),
    "bert, tanh gelu": ("bert", SMALL | {"hidden_act": "gelu_new"}),
    "bert, untied": ("bert", SMALL | {"tie_word_embeddings": False}),
    "modernbert": ("modernbert", SMALL | TOKEN_IDS),
    "modernbert, wide init": ("modernbert", SMALL | TOKEN_IDS | {"initializer_range": 0.3}),
    "modernbert, short windows": ("modernbert", SMALL | TOKEN_IDS | {"local_attention": 8}),
    "modernbert, biases": (
        "modernbert",
        SMALL
        | TOKEN_IDS
        | {"norm_bias": True, "attention_bias": True, "mlp_bias": True, "classifier_bias": True},
    ),
    "modernbert, silu, all global": (
        "modernbert",
        SMALL
        | TOKEN_IDS
        | {
            "hidden_activation": "silu",
            "classifier_activation": "silu",
            "global_attn_every_n_layers": 1,
        },
    ),
    "modernbert, untied": ("modernbert", SMALL | TOKEN_IDS | {"tie_word_embeddings": False}),
    "modernbert, no decoder bias": ("modernbert", SMALL | TOKEN_IDS | {"decoder_bias": False}),
}
BASE_CASES = {
    "bert-base": ("bert", {}),
    "modernbert-base": ("modernbert", {}),
}


def torch_model(model_type: str, settings: dict):
    """A random PyTorch model with every bias and norm moved away from its 0 or 1."""
    torch.manual_seed(3)
    config = new_config(model_type, **settings)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForMaskedLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def padded_batch(vocab_size: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Three sequences: full, half, and two tokens."""
    input_ids = np.random.default_rng(0).integers(5, vocab_size, (3, length)).astype("int32")
    attention_mask = np.ones((3, length), "int32")
    attention_mask[1, length // 2 :] = 0
    attention_mask[2, 2:] = 0
    return input_ids * attention_mask, attention_mask


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


@pytest.mark.parametrize("name", CASES)
def test_a_checkpoint_saved_there_gives_the_same_logits_here(name, tmp_path, small_tokenizer):
    model_type, settings = CASES[name]
    theirs = torch_model(model_type, settings)
    theirs.save_pretrained(tmp_path)
    small_tokenizer.save_pretrained(tmp_path)
    ours = read_checkpoint(tmp_path)
    assert not ours.fresh_head
    batch = padded_batch(settings["vocab_size"], settings["max_position_embeddings"])
    expected = torch_logits(theirs, *batch)
    assert np.abs(expected).max() > 0.1
    assert largest_difference(our_logits(ours.model, *batch), expected, batch[1]) < TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_a_checkpoint_saved_here_loads_there_whole(name, tmp_path, small_tokenizer):
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
    batch = padded_batch(settings["vocab_size"], settings["max_position_embeddings"])
    expected = torch_logits(theirs.eval(), *batch)
    assert largest_difference(our_logits(ours, *batch), expected, batch[1]) < TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_there_and_back_is_bit_identical(name, tmp_path, small_tokenizer):
    from safetensors.numpy import load_file

    model_type, settings = CASES[name]
    torch_model(model_type, settings).save_pretrained(tmp_path / "there")
    small_tokenizer.save_pretrained(tmp_path / "there")
    read = read_checkpoint(tmp_path / "there")
    save_checkpoint(read.model, read.tokenizer, tmp_path / "back", hf_config=read.hf_config)
    before = load_file(tmp_path / "there" / "model.safetensors")
    after = load_file(tmp_path / "back" / "model.safetensors")
    if "cls.predictions.decoder.bias" in before:  # then the other of its two names is idle there
        before["cls.predictions.bias"] = before["cls.predictions.decoder.bias"]
    assert before.keys() == after.keys()
    for tensor_name, value in before.items():
        np.testing.assert_array_equal(after[tensor_name], value, err_msg=tensor_name)


@pytest.mark.parametrize("name", BASE_CASES)
def test_at_base_size(name, tmp_path, small_tokenizer):
    model_type, settings = BASE_CASES[name]
    theirs = torch_model(model_type, settings)
    theirs.save_pretrained(tmp_path)
    small_tokenizer.save_pretrained(tmp_path)
    ours = read_checkpoint(tmp_path)
    batch = padded_batch(theirs.config.vocab_size, 144)
    difference = largest_difference(
        our_logits(ours.model, *batch), torch_logits(theirs, *batch), batch[1]
    )
    print(f"{name}: largest difference of a logit {difference:.1e}")
    assert difference < TOLERANCE
