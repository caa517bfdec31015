"""config.json: published files are accepted, and each rule refuses a file that breaks it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlm.checkpoint.config_bounds import NUMBERS
from mlm.checkpoint.config_json import (
    MAX_CONFIG_BYTES,
    check_settings,
    read_config,
    read_raw_config,
)
from mlm.checkpoint.config_values import MAX_DEPTH, MAX_LIST, MAX_STRING
from mlm.checkpoint.families import FAMILIES, encoder_config_of, new_config
from mlm.errors import CheckpointError
from tests.support.places import ROOT

BERT = {
    "model_type": "bert",
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}
MODERNBERT = BERT | {"model_type": "modernbert", "pad_token_id": 0}


def write(folder: Path, content: dict | str | bytes) -> Path:
    if isinstance(content, dict):
        content = json.dumps(content)
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "config.json").write_bytes(data)
    return folder


def refusal_of(folder: Path) -> str:
    with pytest.raises(CheckpointError) as refusal:
        read_config(folder)
    message = str(refusal.value)
    assert "\n" not in message
    assert len(message) < 700
    assert "config.json" in message or "model_type" in message
    return message


# Accepted files


@pytest.mark.parametrize("flag", [True, False])
def test_the_flag_that_transformers_once_left_behind_is_passed_over(tmp_path, flag):
    config = read_config(write(tmp_path, BERT | {"_attn_implementation_autoset": flag}))
    assert encoder_config_of(config).vocab_size == 64
    assert "_attn_implementation_autoset" not in read_raw_config(tmp_path)


def test_what_is_forbidden_but_empty_says_nothing(tmp_path):
    nothing = dict.fromkeys(("auto_map", "quantization_config", "_attn_implementation"))
    config = read_config(write(tmp_path, BERT | nothing))
    assert encoder_config_of(config).vocab_size == 64


# Published configs, with the keys that the libraries of their time wrote.
AS_FOUND = {
    "bert, 2018": {
        "attention_probs_dropout_prob": 0.1, "directionality": "bidi", "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1, "hidden_size": 768, "initializer_range": 0.02,
        "intermediate_size": 3072, "max_position_embeddings": 512, "model_type": "bert",
        "num_attention_heads": 12, "num_hidden_layers": 12, "pooler_fc_size": 768,
        "pooler_num_attention_heads": 12, "pooler_num_fc_layers": 3,
        "pooler_size_per_head": 128, "pooler_type": "first_token_transform",
        "type_vocab_size": 2, "vocab_size": 105879,
    },
    "bert, 2020": {
        "model_type": "bert", "finetuning_task": None, "gradient_checkpointing": False,
        "is_decoder": False, "layer_norm_eps": 1e-12, "num_labels": 2, "output_attentions": False,
        "output_hidden_states": False, "output_past": True, "pruned_heads": {},
        "torchscript": False, "use_bfloat16": False, "position_embedding_type": "absolute",
        "eos_token_ids": 0, "length_penalty": 1.0, "bad_words_ids": None, "_num_labels": 2,
        "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
        "label2id": {"LABEL_0": 0, "LABEL_1": 1, "_attn": 2, "auto_map": 3},
        "task_specific_params": {"a": {"max_length": 5, "words": [1, 2]}},
    },
    "distilbert": {
        "activation": "gelu", "attention_dropout": 0.1, "dim": 768, "dropout": 0.1,
        "hidden_dim": 3072, "initializer_range": 0.02, "max_position_embeddings": 512,
        "model_type": "distilbert", "n_heads": 12, "n_layers": 6, "pad_token_id": 0,
        "qa_dropout": 0.1, "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": False,
        "tie_weights_": True, "vocab_size": 30522, "_name_or_path": "distilbert-base-uncased",
    },
    "albert": {
        "attention_probs_dropout_prob": 0, "bos_token_id": 2, "classifier_dropout_prob": 0.1,
        "down_scale_factor": 1, "embedding_size": 128, "eos_token_id": 3, "gap_size": 0,
        "hidden_act": "gelu_new", "hidden_dropout_prob": 0, "hidden_size": 768,
        "inner_group_num": 1, "intermediate_size": 3072, "layers_to_keep": [],
        "model_type": "albert", "net_structure_type": 0, "num_attention_heads": 12,
        "num_hidden_groups": 1, "num_hidden_layers": 12, "num_memory_blocks": 0,
        "vocab_size": 30000,
    },
    "deberta-v2": {
        "model_type": "deberta-v2", "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1, "hidden_size": 768, "initializer_range": 0.02,
        "intermediate_size": 3072, "max_position_embeddings": 512, "relative_attention": True,
        "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True,
        "pos_att_type": "p2c|c2p", "layer_norm_eps": 1e-7, "max_relative_positions": -1,
        "position_biased_input": False, "num_attention_heads": 12, "num_hidden_layers": 12,
        "type_vocab_size": 0, "vocab_size": 128100,
    },
    "modernbert": {
        "architectures": ["ModernBertForMaskedLM"], "classifier_pooling": "mean",
        "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "gradient_checkpointing":
        False, "layer_norm_eps": 1e-05, "local_attention": 128, "local_rope_theta": 10000.0,
        "model_type": "modernbert", "position_embedding_type": "absolute",
        "sparse_pred_ignore_index": -100, "torch_dtype": "float32", "vocab_size": 50368,
    },
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_what_transformers_writes_is_read(family, tmp_path):
    changes = AS_FOUND["deberta-v2"] if family == "deberta-v2" else {}
    changes = {name: value for name, value in changes.items() if name != "model_type"}
    written = new_config(family, **changes)
    written.to_json_file(tmp_path / "config.json", use_diff=False)
    assert encoder_config_of(read_config(tmp_path)) == encoder_config_of(written)


@pytest.mark.parametrize(
    "name", [name for name, raw in AS_FOUND.items() if raw["model_type"] in FAMILIES]
)
def test_published_configs_are_read(name, tmp_path):
    config = encoder_config_of(read_config(write(tmp_path, AS_FOUND[name])))
    assert config.vocab_size == AS_FOUND[name].get("vocab_size", 30522)


# Refused settings: rule -> (settings added to those of a small BERT, part of the message)

CODE = {
    "auto_map": ({"auto_map": {"AutoModel": "evil.py"}}, "custom code, which is never run"),
    "deep auto_map": ({"text_config": {"auto_map": {}}}, "custom code, which is never run"),
    "custom pipelines": ({"custom_pipelines": {}}, "never run (custom_pipelines)"),
    "attention": ({"_attn_implementation": "sdpa"}, "asks for a custom attention"),
    "weights of another file": ({"transformers_weights": "other.safetensors"}, "of another file"),
    "a flag that is none": ({"return_dict": "x"}, "return_dict is 'x'; expected true or false"),
    "hidden states": ({"output_hidden_states": "x"}, "output_hidden_states is 'x'"),
    "attention by another name": (
        {"_attn_implementation_autoset": "me/kernel"},
        "a custom attention",
    ),
    "inner attention": ({"_attn_implementation_internal": "me/kernel"}, "a custom attention"),
    "public attention": ({"attn_implementation": "me/kernel"}, "(attn_implementation)"),
    "experts": ({"_experts_implementation": "me/kernel"}, "(_experts_implementation)"),
    "quantized": ({"quantization_config": {"bits": 4}}, "quantized weights, which are not read"),
}
ATTRIBUTES = {
    "a method": ({"to_dict": 1}, "to_dict is not a setting but a part of transformers' code"),
    "layers that differ": (
        {"is_heterogeneous": True},
        "asks for layers that differ from each other",
    ),
    "a table of the class": ({"attribute_map": {"a": "b"}}, "attribute_map is not a setting but"),
    "layers of their own": (
        {"per_layer_config": {"0": {}}},
        "asks for layers that differ from each other",
    ),
    "a property": ({"use_return_dict": True}, "use_return_dict is not a setting but"),
    "dunder": ({"__class__": "dict"}, "__class__ is not a setting; keys do not begin with _"),
    "private": ({"_output_attentions": True}, "_output_attentions is not a setting"),
    "deep dunder": ({"a": {"__float__": "NaN"}}, "__float__ is not a setting"),
    "a function of torch": ({"dtype": "load"}, "dtype is 'load'; expected float32 or float16"),
    "the same, older": ({"torch_dtype": "hub"}, "torch_dtype is 'hub'; expected float32"),
}
FIELDS = {
    "no layers": ({"num_hidden_layers": 0}, "num_hidden_layers is 0; expected an integer from 1"),
    "128 layers and one": ({"num_hidden_layers": 129}, "expected an integer from 1 to 128"),
    "true layers": ({"num_hidden_layers": True}, "num_hidden_layers is True; expected an integer"),
    "half a layer": ({"num_hidden_layers": 2.0}, "num_hidden_layers is 2.0; expected an integer"),
    "a word": ({"hidden_size": "large"}, "hidden_size is 'large'; expected an integer"),
    "null": ({"hidden_size": None}, "hidden_size is None; expected an integer from 1 to 16,384"),
    "negative": ({"vocab_size": -1}, "vocab_size is -1; expected an integer from 1 to 2,097,152"),
    "wide": ({"hidden_size": 2**15}, "hidden_size is 32768; expected an integer from 1 to 16,384"),
    "DistilBERT's": ({"dim": 2**40}, "dim is 1099511627776; expected an integer from 1"),
    "no segments": ({"type_vocab_size": 0}, "type_vocab_size is 0; expected 1 or more"),
    "epsilon zero": ({"layer_norm_eps": 0}, "expected a number above 0 to 0.1"),
    "epsilon one": ({"norm_eps": 1.0}, "norm_eps is 1.0; expected a number above 0 to 0.1"),
    "dropout of all": ({"hidden_dropout_prob": 1.0}, "expected a number from 0 below 1"),
    "any dropout": ({"qa_dropout": -0.1}, "qa_dropout is -0.1; expected a number from 0"),
    "range": ({"initializer_range": 11}, "expected a number above 0 to 10"),
    "labels": ({"num_labels": 10**9}, "num_labels is 1000000000; expected an integer from 0"),
    "deep base": (
        {"task_specific_params": {"a": {"rope_theta": 0}}},
        "task_specific_params.a.rope_theta is 0; expected a number above 0",
    ),
    "id beyond": ({"pad_token_id": 64}, "pad_token_id is 64; expected an integer from 0 to 63"),
    "id below": ({"mask_token_id": -1}, "mask_token_id is -1; expected an integer from 0 to 63"),
    "true id": ({"sep_token_id": True}, "sep_token_id is True; expected an integer from 0 to 63"),
    "ids": ({"eos_token_id": [1, 99]}, "eos_token_id is 99; expected an integer from 0 to 63"),
    "silent pad beyond": (
        {"model_type": "modernbert"},
        "pad_token_id is 50,283, beyond a vocab_size of 64",
    ),
}
SIZES = {
    "a large number": ({"anything": 2**31 + 1}, "anything is 2147483649; expected a number of"),
    "a large deep one": ({"a": [{"b": -1e300}]}, "a[0].b is -1e+300; expected a number of"),
    "depth": ({"a": [[[[[]]]]]}, f"is nested {MAX_DEPTH + 1} deep; expected {MAX_DEPTH} at most"),
    "a long list": ({"a": [0] * (MAX_LIST + 1)}, "a has 1,025 entries; expected 1,024 at most"),
    "a long word": ({"a": "b" * (MAX_STRING + 1)}, "a has 1,025 characters; expected 1,024"),
    "a long key": ({"a" * 129: 1}, "expected 128 printable characters at most"),
    "a key of lines": ({"a\nb": 1}, r"the file has the key 'a\nb'"),
    "half a surrogate": ({"hidden_act": "\ud800"}, "expected text without half a surrogate pair"),
}
LAYERS = {
    "types of 3 layers": ({"layer_types": ["full_attention"] * 3}, "expected a list of 2"),
    "no list": ({"layer_types": "full"}, "layer_types is 'full'; expected a list of 2"),
    "unknown type": ({"layer_types": ["conv", "conv"]}, "layer_types is 'conv'; expected full_att"),
    "no type": ({"layer_types": [1, 2]}, "layer_types is 1; expected full_attention or sliding"),
    "one base": ({"rope_parameters": {"rope_theta": 1.0}}, "rope_parameters is {'rope_theta'"),
    "a base of words": (
        {"rope_parameters": {"full_attention": {"rope_theta": "1"}}},
        "rope_parameters.full_attention.rope_theta is '1'; expected a number above 0",
    ),
    "no rope": ({"rope_parameters": {"full_attention": 3}}, "expected rope_type and rope_theta"),
    "a part": (
        {"rope_parameters": {"full_attention": {"partial_rotary_factor": 0.5}}},
        "has partial_rotary_factor; only rope_theta is known",
    ),
    "every 0 layers": ({"global_attn_every_n_layers": 0}, "global_attn_every_n_layers is 0"),
}
FAMILY = {
    "gpt2": ({"model_type": "gpt2"}, "'gpt2'; the known families are albert, bert, "),
    "deberta": ({"model_type": "deberta"}, "'deberta'"),
    "a list": ({"model_type": ["bert"]}, "model_type is ['bert']; expected the name of a family"),
    "a list of lists": ({"model_type": [["bert"]]}, "expected a word of 64 characters at most"),
    "none": ({"model_type": None}, "model_type is None; expected the name of a family"),
    "a long name": ({"model_type": "b" * 65}, "expected a word of 64 characters at most"),
    "a long activation": ({"hidden_act": "g" * 65}, "expected a word of 64 characters at most"),
    "many words": ({"pos_att_type": ["c2p"] * 9}, "expected a word of 64 characters at most"),
    "an object for a word": ({"position_embedding_type": {}}, "position_embedding_type is {};"),
    "a flag of words": ({"is_decoder": "no"}, "is_decoder is 'no'; expected true or false"),
    "labels without numbers": ({"id2label": {"one": "good"}}, "cannot be used"),
}
BROKEN = CODE | ATTRIBUTES | FIELDS | SIZES | FAMILY


@pytest.mark.parametrize("rule", BROKEN)
def test_settings_that_break_a_rule_are_refused(rule, tmp_path):
    changes, said = BROKEN[rule]
    assert said in refusal_of(write(tmp_path, BERT | changes))


@pytest.mark.parametrize("rule", LAYERS)
def test_layers_that_break_a_rule_are_refused(rule, tmp_path):
    changes, said = LAYERS[rule]
    assert said in refusal_of(write(tmp_path, MODERNBERT | changes))


@pytest.mark.parametrize("name", NUMBERS)
def test_each_known_number_has_its_ends(name):
    bounds = NUMBERS[name]
    settings = {"model_type": "distilbert", "vocab_size": 64}
    for inside in (0.01 if bounds.exclude_low else bounds.low, bounds.high):
        check_settings(settings | {name: inside}, "a config.json")
    for outside in (bounds.low - (not bounds.exclude_low), bounds.high * 2, "3", [3], True, None):
        with pytest.raises(CheckpointError, match=f"a config.json: {name} is .*; expected"):
            check_settings(settings | {name: outside}, "a config.json")


def test_more_labels_than_a_file_has_room_for_are_refused_too():
    labels = dict.fromkeys(map(str, range(10_001)), "a label")
    with pytest.raises(CheckpointError, match="id2label has 10,001 entries; expected 10,000"):
        check_settings(BERT | {"id2label": labels}, "a config.json")


JSON = {
    "torn": ('{"model_type": ', "is not valid JSON at character 15"),
    "no object": ("[]", "holds no settings"),
    "not UTF-8": (b'{"a": "\xe9"}', "is not UTF-8 at byte 7"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "is not UTF-8 at byte 0"),
    "NaN": ('{"a": NaN}', "it holds NaN, which is not a JSON number"),
    "infinity": ('{"a": [-Infinity]}', "it holds -Infinity"),
    "infinite by its digits": ('{"model_type": "bert", "a": 1e999}', "a is inf; expected a finite"),
    "a key twice": ('{"model_type": "bert", "model_type": "gpt2"}', "the key 'model_type' twice"),
    "a deep key twice": ('{"a": {"b": 1, "b": 1}}', "the key 'b' twice"),
    "a thousand digits": ('{"a": ' + "9" * 1000 + "}", "an integer of 1,000 digits"),
    "more than 64 bits": ('{"a": 9223372036854775808}', "beyond 64 bits"),
    "too deep to parse": ("[" * 60_000, "its JSON is nested too deeply"),
    "too large": (" " * 70_000, "has 70,000 bytes; a config has 65,536 at most"),
}


@pytest.mark.parametrize("rule", JSON)
def test_json_that_breaks_a_rule_is_refused(rule, tmp_path):
    content, said = JSON[rule]
    assert said in refusal_of(write(tmp_path, content))


def test_no_file_and_one_that_cannot_be_opened_are_refused(tmp_path):
    assert "has no config.json" in refusal_of(tmp_path)
    (tmp_path / "config.json").mkdir()
    assert "has no config.json" in refusal_of(tmp_path)


def test_the_largest_file_is_read(tmp_path):
    text = json.dumps(BERT)
    write(tmp_path, text + " " * (MAX_CONFIG_BYTES - len(text)))
    assert read_raw_config(tmp_path) == BERT


def test_a_terabyte_of_config_is_not_read(tmp_path):
    with write(tmp_path, BERT).joinpath("config.json").open("r+b") as file:
        file.truncate(2**40)  # a hole: it takes no disk
    assert "has 1,099,511,627,776 bytes" in refusal_of(tmp_path)


def test_a_refused_config_never_reaches_transformers(tmp_path):
    """The library is not even imported for a file that asks for code."""
    write(tmp_path, BERT | {"auto_map": {"AutoModel": "evil.py"}})
    code = (
        "import sys, pathlib\nfrom mlm.checkpoint.config_json import read_config\n"
        f"try:\n    read_config(pathlib.Path({str(tmp_path)!r}))\n"
        "except ValueError:\n    print('transformers' in sys.modules)"
    )
    root = ROOT
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
