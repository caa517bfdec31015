"""Headers against the config, shards against their index, and the values of weights."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mlm.checkpoint.families import encoder_config_of, family_of, new_config, tensor_shapes
from mlm.checkpoint.safetensors_header import StoredTensor
from mlm.checkpoint.tensor_locations import check_tensors, locate_tensors
from mlm.checkpoint.weight_files import (
    MAX_INDEX_BYTES,
    MAX_SHARDS,
    WEIGHTS,
    WEIGHTS_INDEX,
    check_shard,
    parse_index,
    read_headers,
)
from mlm.errors import CheckpointError
from mlm.model.encoder_config import EncoderConfig
from tests.support.small_models import every_family

SHAPE = {
    "vocab_size": 97,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}
OF_FAMILY = {
    "albert": {"embedding_size": 8},
    "deberta-v2": {
        "relative_attention": True,
        "position_biased_input": False,
        "pos_att_type": ["p2c", "c2p"],
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_buckets": 16,
    },
    "electra": {"embedding_size": 8},
    "modernbert": {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
}
Header = dict[str, StoredTensor]
FAMILY = pytest.mark.parametrize("family", every_family())


def config_of(family: str, **changes) -> EncoderConfig:
    settings = SHAPE | OF_FAMILY.get(family, {}) | changes
    if family == "distilbert":
        settings["hidden_dim"] = settings.pop("intermediate_size")
    return encoder_config_of(new_config(family, **settings))


def stored_tensor(*shape: int, dtype: str = "F32") -> StoredTensor:
    return StoredTensor(dtype, shape, 0, 4 * int(np.prod(shape)))


def header_of(family: str, **changes) -> Header:
    shapes = tensor_shapes(family, config_of(family, **changes))
    return {name: stored_tensor(*shape) for name, shape in shapes.items()}


def check(header: Header, family: str = "bert", **changes) -> None:
    check_tensors({WEIGHTS: header}, family_of(family), config_of(family, **changes), "it")


def refusal_of(header: Header, family: str = "bert", **changes) -> str:
    with pytest.raises(CheckpointError) as refusal:
        check(header, family, **changes)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


# Names and shapes


@FAMILY
@pytest.mark.parametrize("tied", [True, False])
def test_what_the_config_implies_is_accepted(family, tied):
    header = header_of(family, tie_word_embeddings=tied)
    locations = locate_tensors(
        {WEIGHTS: header}, family_of(family), config_of(family, tie_word_embeddings=tied), "it"
    )
    assert {name: location.tensor for name, location in locations.items()} == header


@FAMILY
def test_each_missing_tensor_is_named(family):
    whole = header_of(family)
    for name in whole:
        header = {other: tensor for other, tensor in whole.items() if other != name}
        assert f"it lacks the tensor {name};" in refusal_of(header, family)


@FAMILY
def test_each_wrong_shape_is_named(family):
    whole = header_of(family)
    for name, tensor in whole.items():
        wrong = replace(tensor, shape=(*tensor.shape[:-1], tensor.shape[-1] + 1))
        message = refusal_of(whole | {name: wrong}, family)
        assert f"'{name}' of model.safetensors in it has shape {wrong.shape}" in message
        assert f"config.json implies {tensor.shape}" in message


@FAMILY
def test_the_same_numbers_in_another_shape_are_refused(family):
    name, tensor = next(item for item in header_of(family).items() if len(item[1].shape) == 2)
    for shape in (tensor.shape[::-1], (1, *tensor.shape), (int(np.prod(tensor.shape)),)):
        wrong = header_of(family) | {name: replace(tensor, shape=shape)}
        assert "config.json implies" in refusal_of(wrong, family)


def without_head(header: Header) -> Header:
    return {name: tensor for name, tensor in header.items() if not name.startswith("cls.")}


def test_an_encoder_alone_is_accepted_and_half_a_head_is_not():
    header = header_of("bert")
    check(without_head(header))
    half = without_head(header) | {"cls.predictions.bias": header["cls.predictions.bias"]}
    assert "lacks the tensor cls.predictions.transform.dense.weight" in refusal_of(half)


def test_tensors_of_other_uses_are_let_be_whatever_their_shape():
    check(
        header_of("bert")
        | {
            "bert.embeddings.position_ids": stored_tensor(1, 40, dtype="I64"),
            "bert.pooler.dense.weight": stored_tensor(3, 5),
            "cls.seq_relationship.bias": stored_tensor(2),
            "classifier.weight": stored_tensor(7, 24),
            "cls.predictions.decoder.weight": stored_tensor(97, 24),
        }
    )


@pytest.mark.parametrize("name", ["lora.weight", "bert.encoder.layer.2.output.dense.bias", "ünde"])
def test_any_other_tensor_is_refused(name):
    message = refusal_of(header_of("bert") | {name: stored_tensor(24)})
    assert f"model.safetensors in it holds {name!r}, which config.json does not imply" in message


def with_old_names(header: Header) -> Header:
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").removeprefix("bert."): tensor
        for name, tensor in header.items()
    }


def test_old_spellings_are_found_under_todays_names():
    header = header_of("bert")
    locations = locate_tensors(
        {WEIGHTS: with_old_names(header)}, family_of("bert"), config_of("bert"), "it"
    )
    assert locations.keys() == header.keys()
    assert locations["bert.embeddings.LayerNorm.weight"].name == "embeddings.LayerNorm.gamma"


def test_one_tensor_in_two_spellings_is_refused():
    header = header_of("bert")
    message = refusal_of(header | with_old_names(header))
    assert "holds bert.embeddings.word_embeddings.weight twice, as " in message


def test_a_second_name_serves_where_the_first_is_missing_and_has_the_same_shape():
    header = header_of("bert")
    bias = header.pop("cls.predictions.bias")
    check(header | {"cls.predictions.decoder.bias": bias})
    wrong = header | {
        "cls.predictions.bias": bias,
        "cls.predictions.decoder.bias": stored_tensor(3),
    }
    assert "'cls.predictions.decoder.bias' of model.safetensors in it has shape" in refusal_of(
        wrong
    )


@pytest.mark.parametrize("dtype", ["I64", "I8", "U8", "BOOL"])
def test_a_weight_of_whole_numbers_is_refused(dtype):
    name = "bert.embeddings.word_embeddings.weight"
    header = header_of("bert") | {name: stored_tensor(97, 24, dtype=dtype)}
    assert f"'{name}' of model.safetensors in it is {dtype}; expected weights as F64, F32" in (
        refusal_of(header)
    )


def test_a_config_of_a_terabyte_is_held_against_the_header_without_making_it():
    huge = {"hidden_size": 16_384, "intermediate_size": 65_536, "num_hidden_layers": 128}
    assert "config.json implies (97, 16384)" in refusal_of(header_of("bert"), **huge)


def test_a_config_that_asks_for_more_than_its_family_has_is_refused():
    config = replace(config_of("distilbert"), type_vocab_size=2)
    with pytest.raises(CheckpointError, match="asks for embeddings/token_type_embeddings, which d"):
        check_tensors({WEIGHTS: header_of("distilbert")}, family_of("distilbert"), config, "it")


# Shards


def test_a_tensor_in_two_files_is_refused():
    header = header_of("bert")
    name = "bert.embeddings.LayerNorm.bias"
    with pytest.raises(CheckpointError) as refusal:
        check_tensors(
            {"one": header, "two": {name: header[name]}}, family_of("bert"), config_of("bert"), "it"
        )
    assert f"it holds {name} twice, as '{name}' of one and as '{name}' of two" in str(refusal.value)


FILE = "model-00001-of-00002.safetensors"
INDEXES = {
    "torn": ("{", "is not a shard index: it is not valid JSON"),
    "a list": ("[]", "is not a shard index: it has no weight_map"),
    "no map": ('{"metadata": {}}', "is not a shard index: it has no weight_map"),
    "an empty map": ('{"weight_map": {}}', "is not a shard index: it has no weight_map"),
    "a map of lists": ('{"weight_map": []}', "is not a shard index: it has no weight_map"),
    "a tensor twice": (f'{{"weight_map": {{"a": "{FILE}", "a": "{FILE}"}}}}', "key 'a' twice"),
    "not UTF-8": (b'{"\xff": 1}', "is not UTF-8"),
    "another folder": ('{"weight_map": {"a": "../../secret.safetensors"}}', "'../../secret."),
    "an absolute path": ('{"weight_map": {"a": "/etc/passwd"}}', "names the file '/etc/passwd'"),
    "another name": ('{"weight_map": {"a": "evil.bin"}}', "names the file 'evil.bin'; expected"),
    "a line break": (json.dumps({"weight_map": {"a": f"{FILE}\n"}}), "names the file"),
    "other digits": (
        json.dumps({"weight_map": {"a": FILE.replace("1", "١")}}),
        "names the file",
    ),
    "a number": (
        '{"weight_map": {"a": 3}}',
        "names the file 3; expected a name like model-00001-of",
    ),
    "many files": (
        json.dumps(
            {
                "weight_map": {
                    str(n): f"model-{n:05}-of-00099.safetensors" for n in range(MAX_SHARDS + 1)
                }
            }
        ),
        "names more than 64 files",
    ),
    "many tensors": (
        json.dumps({"weight_map": dict.fromkeys(map(str, range(10_001)), FILE)}),
        "names 10,001 tensors, beyond 10,000",
    ),
}


@pytest.mark.parametrize("rule", INDEXES)
def test_an_index_that_breaks_a_rule_is_refused(rule):
    content, said = INDEXES[rule]
    with pytest.raises(CheckpointError) as refusal:
        parse_index(content if isinstance(content, bytes) else content.encode(), "the index")
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_shard_holds_what_the_index_says():
    index = {"a": "one", "b": "one", "c": "two"}
    check_shard("one", {"a": stored_tensor(1), "b": stored_tensor(1)}, index, "it")
    for names, said in (
        ("a", "one in it lacks 'b', which model.safetensors.index.json places in it"),
        ("abc", "one in it holds 'c', which model.safetensors.index.json places in two"),
        ("abd", "one in it holds 'd', which model.safetensors.index.json does not name"),
    ):
        with pytest.raises(CheckpointError, match=said):
            check_shard("one", {name: stored_tensor(1) for name in names}, index, "it")


@pytest.fixture
def sharded_folder(tmp_path) -> Path:
    """A folder of two shards of one tensor each, and their index."""
    shard_of = {}
    for number, name in enumerate("ab", start=1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: np.zeros(number, "float32")}, tmp_path / file, metadata={"format": "pt"})
        shard_of[name] = file
    (tmp_path / WEIGHTS_INDEX).write_text(json.dumps({"weight_map": shard_of}))
    return tmp_path


def change_index(folder: Path, change: Callable[[dict], dict]) -> None:
    path = folder / WEIGHTS_INDEX
    index = json.loads(path.read_text())
    path.write_text(json.dumps({"weight_map": change(index["weight_map"])}))


def assert_no_headers(folder: Path, said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        read_headers(folder)


def test_the_headers_of_shards_are_read_by_their_files(sharded_folder):
    assert {file: [*header] for file, header in read_headers(sharded_folder).items()} == {
        "model-00001-of-00002.safetensors": ["a"],
        "model-00002-of-00002.safetensors": ["b"],
    }


def test_shards_that_do_not_follow_their_index_are_refused(sharded_folder):
    change_index(sharded_folder, lambda shard_of: {"a": shard_of["b"], "b": shard_of["a"]})
    assert_no_headers(
        sharded_folder, "holds 'a', which model.safetensors.index.json places in model-0"
    )
    change_index(
        sharded_folder, lambda shard_of: {"a": shard_of["b"], "b": shard_of["a"], "c": FILE}
    )
    assert_no_headers(sharded_folder, "lacks 'c', which model.safetensors.index.json places in it")


def test_a_missing_shard_is_named(sharded_folder):
    (sharded_folder / FILE).unlink()
    assert_no_headers(sharded_folder, f"lacks {FILE}; fetch the checkpoint again")


def test_an_index_too_large_is_not_read(sharded_folder):
    with (sharded_folder / WEIGHTS_INDEX).open("r+b") as file:
        file.truncate(MAX_INDEX_BYTES + 1)
    assert_no_headers(sharded_folder, "has 8,388,609 bytes; an index has 8,388,608 at most")


def test_one_file_goes_before_shards(sharded_folder):
    save_file({"c": np.zeros(3, "float32")}, sharded_folder / WEIGHTS)
    assert [*read_headers(sharded_folder)] == [WEIGHTS]


def test_no_weights_are_said_to_be_none(tmp_path):
    assert_no_headers(tmp_path, "has no model.safetensors; it has none")
    (tmp_path / "tf_model.h5").write_bytes(b"")
    assert_no_headers(tmp_path, r"it has tf_model.h5, which is not read")


# Values


@pytest.mark.parametrize("number", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_every_value_of_a_narrow_format_is_read_exactly(number, tiny_bert_folder, tmp_path):
    from mlm.checkpoint.weights import load_weights, variables_by_name
    from mlm.model.encoder import MaskedLM

    # All 16-bit patterns that are numbers, subnormal ones included.
    half = np.dtype(number if np.dtype(number).itemsize == 2 else np.float16)
    values = np.arange(2**16, dtype="uint16").view(half)
    values = values[np.isfinite(values.astype("float32"))].astype(number)
    table = np.resize(values, (2048, 32))
    assert table.size >= values.size
    name = "bert.embeddings.word_embeddings.weight"
    tensors = load_file(tiny_bert_folder / WEIGHTS) | {
        name: table,
        "cls.predictions.bias": np.zeros(2048, number),
    }
    save_file(tensors, tmp_path / WEIGHTS, metadata={"format": "pt"})
    raw = json.loads((tiny_bert_folder / "config.json").read_text())
    shape = {key: raw[key] for key in SHAPE if key in raw}
    model = MaskedLM(config_of("bert", **shape | {"vocab_size": 2048}))
    model.build()
    assert load_weights(model, family_of("bert"), tmp_path) is False
    read = variables_by_name(model)["embeddings/word_embeddings"].numpy()
    np.testing.assert_array_equal(read, table.astype("float32"))
