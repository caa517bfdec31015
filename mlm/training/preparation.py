"""config -> everything a run needs before its first step: device, model, token store, batches."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlm.backend import devices, processes
from mlm.checkpoint.folder import Checkpoint
from mlm.data.batches.masked_batches import EvaluationBatches, MaskedBatches, evaluation_batches
from mlm.data.tokens.corpus import build_token_store
from mlm.data.tokens.sharded_tokens import open_token_stores
from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.token_store import TokenStore
from mlm.errors import ConfigError
from mlm.training.config import TrainingConfig
from mlm.training.initial_checkpoint import start_checkpoint


@dataclass(frozen=True)
class Preparation:
    """What a run is made of. base_model: repository and commit it starts from, None from scratch.

    micro_batches: parts of a replica's rows whose gradients make one step.
    """

    config: TrainingConfig
    device: devices.Device
    start: Checkpoint
    base_model: dict | None
    store: TokenStore
    batches: MaskedBatches
    evaluation_batches: EvaluationBatches
    micro_batches: int
    total_steps: int


def prepare(
    config: TrainingConfig,
    tokens: Path,
    report: Callable[[str], None],
    *,
    global_batch_size: int | None = None,
) -> Preparation:
    """Read model and texts; `tokens` is where the token store goes, `report` gets what was found.

    global_batch_size: that of the run that is gone on with, whatever devices there are now.
    Raises UserError for whatever cannot work.
    """
    device = devices.choose_device(config.precision)
    report(f"device: {device}")
    rows, micro_batches = _shared_out(config, device.num_replicas, global_batch_size)
    with device.scope():
        start, base_model = start_checkpoint(config, device.policy)
    _check_length(config, start.model.config.max_position_embeddings)
    start.model.freeze_lower_layers(config.freeze_layers)
    with processes.first_before_others():
        store = _token_store(config, start, tokens)
    report(store.report_line)
    facts = TokenFacts.of(start.tokenizer)
    global_batch_size = rows * device.num_replicas
    batches = _training_batches(config, store, facts, global_batch_size, not device.one_shape)
    return Preparation(
        config=config,
        device=device,
        start=start,
        base_model=base_model,
        store=store,
        batches=batches,
        evaluation_batches=_evaluation_batches(config, store, facts, device.num_replicas),
        micro_batches=micro_batches,
        total_steps=count_steps(config, batches.num_sequences, batches.global_batch_size),
    )


def count_steps(config: TrainingConfig, num_sequences: int, global_batch_size: int) -> int:
    """Optimizer updates of a whole run."""
    if config.max_steps > 0:
        return config.max_steps
    return max(1, math.ceil(config.num_train_epochs * num_sequences / global_batch_size))


def _shared_out(config: TrainingConfig, replicas: int, whole: int | None) -> tuple[int, int]:
    """Rows a replica in one step, and in how many parts it takes them."""
    at_once = config.per_device_train_batch_size
    if whole is None:
        return at_once * config.gradient_accumulation_steps, config.gradient_accumulation_steps
    rows, left = divmod(whole, replicas)
    if left:
        raise ConfigError(
            f"this run has {whole} sequences a step, which {replicas} devices cannot share evenly; "
            "go on with a number of devices that divides it"
        )
    parts = next(
        parts for parts in range(1, rows + 1) if rows % parts == 0 and rows <= parts * at_once
    )
    return rows, parts


def _check_length(config: TrainingConfig, longest: int) -> None:
    if config.max_seq_length > longest:
        raise ConfigError(
            f"--max_seq_length is {config.max_seq_length}; this model has positions for "
            f"{longest}; give that or less"
        )


def _token_store(config: TrainingConfig, start: Checkpoint, folder: Path) -> TokenStore:
    if config.token_store:
        return open_token_stores(config.token_store, start.tokenizer)
    return build_token_store(
        folder,
        start.tokenizer,
        train_files=config.train_file,
        validation_files=config.validation_file,
        text_column=config.text_column,
        encoding=config.encoding,
        validation_split_percentage=config.validation_split_percentage,
        max_train_samples=config.max_train_samples,
    )


def _training_batches(
    config: TrainingConfig,
    store: TokenStore,
    facts: TokenFacts,
    global_batch_size: int,
    dynamic_padding: bool,
) -> MaskedBatches:
    def batches(total_steps: int | None) -> MaskedBatches:
        return MaskedBatches(
            store.train,
            facts,
            max_seq_length=config.max_seq_length,
            global_batch_size=global_batch_size,
            seed=config.seed,
            mlm_probability=config.mlm_probability,
            final_mlm_probability=config.final_mlm_probability if total_steps else None,
            total_steps=total_steps,
            mask_replace_prob=config.mask_replace_prob,
            random_replace_prob=config.random_replace_prob,
            whole_word_mask=config.whole_word_mask,
            span_mask=config.span_mask,
            line_by_line=config.line_by_line,
            group_by_length=config.group_by_length,
            dynamic_padding=dynamic_padding,
        )

    first = batches(None)
    if config.final_mlm_probability is None:
        return first
    return batches(count_steps(config, first.num_sequences, global_batch_size))


def _evaluation_batches(
    config: TrainingConfig, store: TokenStore, facts: TokenFacts, replicas: int
) -> EvaluationBatches:
    return evaluation_batches(
        store.validation,
        facts,
        max_seq_length=config.max_seq_length,
        batch_size=config.per_device_eval_batch_size * replicas,
        line_by_line=config.line_by_line,
        max_sequences=config.max_eval_samples,
    )
