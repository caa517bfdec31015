"""BERT (Devlin et al. 2019): learned positions, norm after each sub-layer, exact GELU."""

from mlm.encoder_config import EncoderConfig
from mlm.errors import CheckpointError

MODEL_TYPE = "bert"
ARCHITECTURE = "BertForMaskedLM"
PREFIX = "bert."
IGNORED = (
    r"bert\.embeddings\.position_ids",
    r"bert\.embeddings\.token_type_ids",
    r"bert\.pooler\..*",
    r"cls\.seq_relationship\..*",
    r"cls\.predictions\.decoder\.weight",  # tied to the word embeddings, where not expected
)
DECODER_BIAS, HEAD_BIAS = "cls.predictions.decoder.bias", "cls.predictions.bias"
TOKEN_ID_FIELDS = {"pad_token_id": "pad"}
EXTRA_SETTINGS = frozenset[str]()


Names = dict[str, tuple[str, ...]]


def encoder_config(hf_config) -> EncoderConfig:
    """A BertConfig as our EncoderConfig; refuses decoders and relative positions."""
    if getattr(hf_config, "is_decoder", False):
        raise CheckpointError("is_decoder is true; a masked language model looks both ways")
    if getattr(hf_config, "position_embedding_type", "absolute") not in (None, "absolute"):
        raise CheckpointError(
            f"position_embedding_type is {hf_config.position_embedding_type!r}; "
            "only `absolute` is known"
        )
    return EncoderConfig(
        vocab_size=hf_config.vocab_size,
        hidden_size=hf_config.hidden_size,
        num_hidden_layers=hf_config.num_hidden_layers,
        num_attention_heads=hf_config.num_attention_heads,
        intermediate_size=hf_config.intermediate_size,
        max_position_embeddings=hf_config.max_position_embeddings,
        type_vocab_size=hf_config.type_vocab_size,
        hidden_act=hf_config.hidden_act,
        head_act=hf_config.hidden_act,
        layer_norm_eps=hf_config.layer_norm_eps,
        norm="post",
        positions="learned",
        attention_windows=(None,) * hf_config.num_hidden_layers,
        tie_word_embeddings=hf_config.tie_word_embeddings,
        embedding_dropout=hf_config.hidden_dropout_prob,
        hidden_dropout=hf_config.hidden_dropout_prob,
        attention_dropout=hf_config.attention_probs_dropout_prob,
        initializer_range=hf_config.initializer_range,
        residual_initializer_range=hf_config.initializer_range,
        pad_token_id=hf_config.pad_token_id,
    )


def tensor_names(config: EncoderConfig) -> Names:
    """Our variable -> BertForMaskedLM's tensor names."""
    embeddings = "bert.embeddings"
    names: Names = {
        "embeddings/word_embeddings": (f"{embeddings}.word_embeddings.weight",),
        "embeddings/position_embeddings": (f"{embeddings}.position_embeddings.weight",),
        "embeddings/token_type_embeddings": (f"{embeddings}.token_type_embeddings.weight",),
        "embeddings/norm/gamma": (f"{embeddings}.LayerNorm.weight",),
        "embeddings/norm/beta": (f"{embeddings}.LayerNorm.bias",),
        "head/dense/kernel": ("cls.predictions.transform.dense.weight",),
        "head/dense/bias": ("cls.predictions.transform.dense.bias",),
        "head/norm/gamma": ("cls.predictions.transform.LayerNorm.weight",),
        "head/norm/beta": ("cls.predictions.transform.LayerNorm.bias",),
        "head/bias": (HEAD_BIAS if config.tie_word_embeddings else DECODER_BIAS,),
    }
    if not config.tie_word_embeddings:
        names["head/decoder"] = ("cls.predictions.decoder.weight",)
    for index in range(config.num_hidden_layers):
        names |= _layer_names(f"layer_{index}", f"bert.encoder.layer.{index}")
    return names


def same_tensors(config: EncoderConfig) -> dict[str, str]:
    """Second name -> first: the head's bias has two, of which an untied decoder adds its own."""
    if config.tie_word_embeddings:
        return {DECODER_BIAS: HEAD_BIAS}
    return {HEAD_BIAS: DECODER_BIAS}


def written_twice(config: EncoderConfig) -> bool:
    """True if transformers expects the second name in a file as well."""
    return not config.tie_word_embeddings


def _layer_names(ours: str, theirs: str) -> Names:
    names: Names = {}
    for our_part, their_part in (("kernel", "weight"), ("bias", "bias")):
        names[f"{ours}/attention/qkv/{our_part}"] = tuple(
            f"{theirs}.attention.self.{which}.{their_part}" for which in ("query", "key", "value")
        )
        for our_layer, their_layer in (
            ("attention/output", "attention.output.dense"),
            ("mlp/input", "intermediate.dense"),
            ("mlp/output", "output.dense"),
        ):
            names[f"{ours}/{our_layer}/{our_part}"] = (f"{theirs}.{their_layer}.{their_part}",)
    for our_norm, their_norm in (("attention_norm", "attention.output"), ("mlp_norm", "output")):
        names[f"{ours}/{our_norm}/gamma"] = (f"{theirs}.{their_norm}.LayerNorm.weight",)
        names[f"{ours}/{our_norm}/beta"] = (f"{theirs}.{their_norm}.LayerNorm.bias",)
    return names
