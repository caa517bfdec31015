"""The initial checkpoint of a run: the one that is named, or a new model and a new tokenizer."""

from collections.abc import Callable, Iterator
from pathlib import Path

from mlm import hub
from mlm.checkpoint.families import encoder_config_of, new_config, special_token_ids
from mlm.checkpoint.folder import Checkpoint, read_checkpoint
from mlm.training.added_words import add_words, read_words
from mlm.training.config import TrainingConfig
from mlm.training.config_overrides import parse_config_overrides


def load_initial_checkpoint(
    config: TrainingConfig, policy: str, report: Callable[[str], None]
) -> tuple[Checkpoint, dict[str, str | None] | None]:
    """Return the checkpoint to train, with the words of `add_words_file`, and its origin.

    policy: Keras dtype policy of the model. report: gets lines about a new tokenizer. The origin is
    `repo_id` and `commit` for the record, None from scratch. Raises UserError.
    """
    if config.model_name_or_path:
        fetched = hub.fetch_checkpoint(config.model_name_or_path, config.model_revision)
        base = {"repo_id": fetched.repo_id, "commit": fetched.commit}
        checkpoint = read_checkpoint(fetched.folder, dtype=policy, seed=config.seed)
    else:
        checkpoint, base = _from_scratch(config, policy, report), None
    if config.add_words_file:
        words = read_words(config.add_words_file)
        checkpoint = add_words(checkpoint, words, policy=policy, seed=config.seed)
    return checkpoint, base


def training_texts(config: TrainingConfig) -> Iterator[str]:
    """Yield the texts to learn a vocabulary from, which the held-out texts are not part of."""
    from mlm.data.tokens.corpus import texts_of_side

    return texts_of_side(
        "train",
        train_files=config.train_file,
        validation_files=config.validation_file,
        text_column=config.text_column,
        encoding=config.encoding,
        encoding_errors=config.encoding_errors,
        clean_html=config.clean_html,
        validation_split_percentage=config.validation_split_percentage,
    )


def _from_scratch(config: TrainingConfig, policy: str, report: Callable[[str], None]) -> Checkpoint:
    import keras

    from mlm.data.tokens.tokenizer_training import train_tokenizer
    from mlm.model.encoder import MaskedLM

    tokenizer = train_tokenizer(
        training_texts(config),
        config.vocab_size,
        tokenizer_type=config.tokenizer_type,
        cased=config.cased,
        report=report,
    )
    overrides = {
        "max_position_embeddings": max(512, config.max_seq_length),
        **special_token_ids(config.model_type, tokenizer),
        **parse_config_overrides(config.config_overrides),
        "vocab_size": len(tokenizer),
    }
    hf_config = new_config(config.model_type, **overrides)
    keras.utils.set_random_seed(config.seed)
    encoder = encoder_config_of(hf_config)
    model = MaskedLM(encoder, dtype=policy, seed=config.seed)
    model.build()
    return Checkpoint(tokenizer, hf_config, encoder, None, Path(config.output_dir), model=model)
