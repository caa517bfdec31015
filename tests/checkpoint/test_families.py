"""Each family's checkpoints, in the variants that are published: all load, to the bit."""

import json

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from mlm.checkpoint.families import encoder_config_of, family_of, new_config, tensor_shapes
from mlm.checkpoint.folder import read_checkpoint, save_checkpoint
from mlm.checkpoint.weights import variables_by_name
from mlm.errors import CheckpointError
from mlm.model.blocks import ACTIVATIONS
from mlm.model.encoder import MaskedLM
from mlm.model.encoder_config import ACTIVATION_NAMES, variable_shapes
from mlm.training.config import TrainingConfig
from mlm.training.trainer import train
from tests.support.small_models import every_family
from tests.support.sweeps import sweep

SHAPE = {
    "vocab_size": 97,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 40,
}
SHAPE_OF = {
    "albert": {"embedding_size": 8, "intermediate_size": 32},
    "deberta-v2": {
        "intermediate_size": 32,
        "relative_attention": True,
        "position_biased_input": False,
        "pos_att_type": ["p2c", "c2p"],
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_buckets": 16,
    },
    "distilbert": {"hidden_dim": 32},
    "electra": {"embedding_size": 8, "intermediate_size": 32},
    "modernbert": {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
}
FAMILY = pytest.mark.parametrize("family", every_family())


def small_config(family: str, **changes):
    shape = SHAPE | SHAPE_OF.get(family, {"intermediate_size": 32})
    return new_config(family, **shape, pad_token_id=0, **changes)


@pytest.fixture
def save_model(tmp_path, small_tokenizer):
    """save_model(family, auto_class) -> (folder, PyTorch model), with a tokenizer in the folder."""

    def save(family: str, auto=transformers.AutoModelForMaskedLM, dtype=torch.float32, **options):
        torch.manual_seed(2)
        model = auto.from_config(small_config(family)).to(dtype)
        model.save_pretrained(tmp_path, **options)
        small_tokenizer.save_pretrained(tmp_path)
        return tmp_path, model

    return save


def values(model) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in variables_by_name(model).items()}


def assert_same_values(ours: dict, others: dict, names=None) -> None:
    assert ours.keys() == others.keys()
    for name in names or ours:
        np.testing.assert_array_equal(ours[name], others[name], err_msg=name)


def decoder_of(model) -> str:
    """Return the name of the decoder's matrix in a PyTorch model."""
    head = model.get_output_embeddings()
    return next(f"{name}.weight" for name, module in model.named_modules() if module is head)


def rewrite(folder, change) -> None:
    """Save the folder's tensors again after `change`, which renames or adds tensors."""
    path = folder / "model.safetensors"
    tensors = change(load_file(path))
    save_file({name: value.clone() for name, value in tensors.items()}, path, {"format": "pt"})


@FAMILY
@pytest.mark.parametrize("tied", [True, False])
def test_the_shape_is_known_before_the_model_is_built(family, tied):
    config = encoder_config_of(small_config(family, tie_word_embeddings=tied))
    model = MaskedLM(config)
    model.build()
    built = {name: value.shape for name, value in values(model).items()}
    assert variable_shapes(config) == built
    assert family_of(family).tensor_names(config).keys() == built.keys()


@FAMILY
def test_the_tensors_that_a_config_implies_are_those_that_transformers_saves(family, save_model):
    folder, model = save_model(family)
    implied = tensor_shapes(family, encoder_config_of(model.config))
    stored = {name: tuple(v.shape) for name, v in load_file(folder / "model.safetensors").items()}
    assert stored == implied


@FAMILY
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_files_load_exactly(family, dtype, save_model):
    folder, model = save_model(family, dtype=dtype)
    half = values(read_checkpoint(folder).model)
    model.float().save_pretrained(folder)
    assert_same_values(half, values(read_checkpoint(folder).model))


@FAMILY
def test_shards_load_as_one_file_does(family, save_model):
    folder, _ = save_model(family)
    whole = values(read_checkpoint(folder).model)
    (folder / "model.safetensors").unlink()
    save_model(family, max_shard_size="8KB")
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2
    assert_same_values(whole, values(read_checkpoint(folder).model))


@FAMILY
def test_gamma_and_beta_a_missing_prefix_and_buffers_are_understood(family, save_model):
    folder, model = save_model(family)
    today = values(read_checkpoint(folder).model)
    prefix = f"{model.base_model_prefix}."

    def as_in_old_files(tensors: dict) -> dict:
        old = {}
        for name, value in tensors.items():
            for new_part, old_part in ((".weight", ".gamma"), (".bias", ".beta")):
                if "norm" in name.lower() and name.endswith(new_part):
                    name = name.removesuffix(new_part) + old_part
            old[name.removeprefix(prefix)] = value
        if family != "modernbert":
            old["embeddings.position_ids"] = torch.arange(40)[None]
        return old

    rewrite(folder, as_in_old_files)
    assert_same_values(values(read_checkpoint(folder).model), today)


@FAMILY
def test_a_tied_decoder_may_be_stored_or_not(family, save_model):
    folder, model = save_model(family)
    without = values(read_checkpoint(folder).model)
    table = model.get_input_embeddings().weight.detach()
    rewrite(folder, lambda tensors: tensors | {decoder_of(model): table})
    assert_same_values(values(read_checkpoint(folder).model), without)


@FAMILY
def test_a_tied_model_may_be_stored_by_its_decoder_without_the_word_embeddings(family, save_model):
    folder, model = save_model(family)
    both = values(read_checkpoint(folder).model)
    table = model.get_input_embeddings().weight

    def by_decoder(tensors: dict) -> dict:
        kept = {name: value for name, value in tensors.items() if not torch.equal(value, table)}
        assert len(kept) == len(tensors) - 1
        return kept | {decoder_of(model): table.detach()}

    rewrite(folder, by_decoder)
    assert_same_values(values(read_checkpoint(folder).model), both)


@FAMILY
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_another_decoder_than_the_config_says_counts_and_stays_untied(
    family, dtype, save_model, small_tokenizer, caplog, monkeypatch
):
    monkeypatch.setattr("mlm.checkpoint.weights.ROWS_AT_ONCE", 10)  # several blocks
    folder, model = save_model(family, dtype=dtype)
    other = model.get_input_embeddings().weight.detach().clone()
    other[-1, -1] += 1
    rewrite(folder, lambda tensors: tensors | {decoder_of(model): other})
    found = read_checkpoint(folder)
    np.testing.assert_array_equal(values(found.model)["head/decoder"], other.float().numpy())
    assert f"the weights hold another decoder ({decoder_of(model)})" in caplog.text
    assert not found.fresh_head
    save_checkpoint(found.model, small_tokenizer, folder / "saved", hf_config=found.hf_config)
    written = json.loads((folder / "saved" / "config.json").read_text())
    assert written["tie_word_embeddings"] is False
    assert_same_values(values(read_checkpoint(folder / "saved").model), values(found.model))


def test_the_bias_of_the_decoder_counts_where_the_head_has_another(save_model):
    folder, _ = save_model("bert")
    bias = torch.arange(97.0)
    rewrite(folder, lambda tensors: tensors | {"cls.predictions.decoder.bias": bias})
    np.testing.assert_array_equal(values(read_checkpoint(folder).model)["head/bias"], bias)


@FAMILY
@pytest.mark.parametrize("auto", ["AutoModel", "AutoModelForTokenClassification"])
def test_an_encoder_alone_gets_a_fresh_head_and_a_line_that_says_so(
    family, auto, save_model, caplog
):
    folder, model = save_model(family, getattr(transformers, auto))
    checkpoint = read_checkpoint(folder)
    assert checkpoint.fresh_head
    assert "has no masked-LM head" in caplog.text
    encoder = getattr(model, model.base_model_prefix, model)
    ours = values(checkpoint.model)
    np.testing.assert_array_equal(
        ours["embeddings/word_embeddings"], encoder.get_input_embeddings().weight.detach().numpy()
    )
    assert np.abs(ours["head/dense/kernel"]).max() > 0
    assert not ours["head/bias"].any()


def test_an_electra_discriminator_is_an_encoder_alone(save_model):
    folder, _ = save_model("electra", transformers.AutoModelForPreTraining)
    assert any("discriminator" in name for name in load_file(folder / "model.safetensors"))
    assert read_checkpoint(folder).fresh_head


@FAMILY
def test_saved_here_and_read_here_is_the_same_to_the_bit(
    family, save_model, tmp_path, small_tokenizer
):
    folder, _ = save_model(family)
    first = read_checkpoint(folder)
    again = tmp_path / "again"
    save_checkpoint(first.model, first.tokenizer, again, hf_config=first.hf_config)
    assert_same_values(values(read_checkpoint(again).model), values(first.model))


@pytest.mark.parametrize("model_type", ["deberta", "gpt2", "t5", None])
def test_what_is_not_here_is_refused_by_name(model_type):
    with pytest.raises(CheckpointError, match=str(model_type)):
        family_of(model_type)


def test_deberta_is_refused_with_the_reason():
    with pytest.raises(CheckpointError, match="joins query, key and value"):
        family_of("deberta")


def test_the_activations_that_are_named_are_those_that_are_there():
    assert set(ACTIVATIONS) == ACTIVATION_NAMES


REFUSED = {
    "intermediate_size is 0": ("bert", {"intermediate_size": 0}),
    "max_position_embeddings is 2": ("bert", {"max_position_embeddings": 2}),
    "attention_dropout is 2": ("bert", {"attention_probs_dropout_prob": 2.0}),
    "pad_token_id is 99": ("bert", {"pad_token_id": 99}),
    "look at type_vocab_size": ("bert", {"type_vocab_size": 0}),
    "inner_group_num is 2": ("albert", {"inner_group_num": 2}),
    "num_hidden_groups is 3": ("albert", {"num_hidden_groups": 3}),
    "relative_attention_num_buckets is 8": ("mpnet", {"relative_attention_num_buckets": 8}),
    "nothing is left for a text": ("roberta", {"max_position_embeddings": 1}),
    "share_att_key is False": ("deberta-v2", {"share_att_key": False}),
    "legacy is False": ("deberta-v2", {"legacy": False}),
    "position_biased_input is True": ("deberta-v2", {"position_biased_input": True}),
    "pos_att_type is \\['c2p'\\]": ("deberta-v2", {"pos_att_type": ["c2p"]}),
    "conv_kernel_size is 3": ("deberta-v2", {"conv_kernel_size": 3}),
    "is_decoder is true": ("roberta", {"is_decoder": True}),
    "does not divide by num_attention_heads 5": ("distilbert", {"num_attention_heads": 5}),
    "activation 'prelu' is not among": ("electra", {"hidden_act": "prelu"}),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_config_that_cannot_work_is_refused(message):
    family, changes = REFUSED[message]
    settings = SHAPE | SHAPE_OF.get(family, {}) | {"pad_token_id": 0} | changes
    with pytest.raises(CheckpointError, match=message):
        encoder_config_of(new_config(family, **settings))


@pytest.mark.parametrize(("buckets", "span"), [(1, 160), (2, 2), (4, 3), (8, 5), (32, 17)])
def test_buckets_that_distances_do_not_fill_are_refused(buckets, span):
    config = small_config("deberta-v2")
    config.position_buckets, config.max_relative_positions = buckets, span
    with pytest.raises(CheckpointError, match=f"position_buckets is {buckets} for"):
        encoder_config_of(config)


def test_a_decoder_is_refused():
    with pytest.raises(CheckpointError, match="add_cross_attention is true"):
        encoder_config_of(small_config("bert", add_cross_attention=True))


def test_how_transformers_answers_is_not_what_a_checkpoint_says(
    save_model, tmp_path, small_tokenizer
):
    folder, _ = save_model("bert")
    config = json.loads((folder / "config.json").read_text())
    odd = {"return_dict": False, "output_hidden_states": True, "chunk_size_feed_forward": 7}
    (folder / "config.json").write_text(json.dumps(config | odd))
    found = read_checkpoint(folder)
    save_checkpoint(found.model, found.tokenizer, tmp_path / "out", hf_config=found.hf_config)
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (written["return_dict"], written["chunk_size_feed_forward"]) == (True, 0)
    assert written["output_hidden_states"] is False


def train_three_steps(folder, corpus, output):
    config = TrainingConfig.from_dict(
        {
            "train_file": [str(corpus)],
            "model_name_or_path": str(folder),
            "output_dir": str(output),
            "max_seq_length": 24,
            "max_steps": 3,
            "learning_rate": 1e-2,
            "weight_decay": 0.0,
            "precision": "fp32",
        }
    )
    return train(config, report=lambda line: None)


@pytest.mark.parametrize("family", sweep(every_family(), quick=["bert", "albert"]))
def test_each_family_trains_and_is_read_elsewhere(family, save_model, small_corpus, tmp_path):
    folder, before = save_model(family)
    result = train_three_steps(folder, small_corpus, tmp_path / "out")
    after, loading = transformers.AutoModelForMaskedLM.from_pretrained(
        result.folder, output_loading_info=True
    )
    assert not any(loading.values()), loading
    first, last = before.state_dict(), after.state_dict()
    assert first.keys() == last.keys()
    untouched = [name for name in first if torch.equal(first[name], last[name])]
    # Rows of segments or tokens that no text used are in tables that did change.
    assert not [name for name in untouched if "position_ids" not in name]


def test_training_keeps_a_decoder_untied_that_the_config_calls_tied(
    save_model, small_corpus, tmp_path
):
    folder, model = save_model("bert")
    other = torch.randn(97, 24)
    rewrite(folder, lambda tensors: tensors | {decoder_of(model): other})
    result = train_three_steps(folder, small_corpus, tmp_path / "out")
    written = json.loads((result.folder / "config.json").read_text())
    assert written["tie_word_embeddings"] is False
    after = transformers.AutoModelForMaskedLM.from_pretrained(result.folder)
    decoder, table = after.get_output_embeddings().weight, after.get_input_embeddings().weight
    distances = [float((decoder - each).detach().abs().max()) for each in (other, table)]
    assert 0 < distances[0] < 0.1 < distances[1]
