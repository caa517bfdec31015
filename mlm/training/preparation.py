"""Read everything that a run needs before its first step: device, model, token store, batches."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.backend import processes
from mlm.backend.devices import Device, choose_device
from mlm.data.batches.evaluation_batches import EvaluationBatches, evaluation_batches
from mlm.data.batches.masked_batches import MaskedBatches
from mlm.data.tokens.corpus import build_token_store
from mlm.data.tokens.sample_texts import sample_lines
from mlm.data.tokens.sharded_tokens import open_token_stores
from mlm.data.tokens.token_facts import TokenFacts
from mlm.data.tokens.token_store import TokenStore
from mlm.errors import ConfigError
from mlm.terminal.progress import progress
from mlm.training.added_words import read_words
from mlm.training.added_words_report import report_added_words
from mlm.training.card.training_json import Example
from mlm.training.config import TrainingConfig
from mlm.training.initial_checkpoint import load_initial_checkpoint
from mlm.training.run_settings import RunSettings

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

    from mlm.checkpoint.folder import Checkpoint
    from mlm.evaluation.evaluator import Evaluator
    from mlm.model.encoder import MaskedLM
    from mlm.training.step.loss import ElementLoss

NOTED_SHARE = 0.01  # of words in scripts without spaces, from which they are worth a line
SAMPLES, SAMPLES_OF_DRY_RUN = 3, 10  # texts that are shown as the model sees them


@dataclass(frozen=True)
class Preparation:
    """Everything that a run consists of before its first step.

    hf_config: the transformers config of the model; base_model: `repo_id` and `commit` of the
    initial checkpoint, None from scratch; micro_batches: into how many parts a replica splits its
    rows of a step; total_steps: optimizer updates of the whole run; examples: best words of the
    initial checkpoint for the card's examples.
    """

    config: TrainingConfig
    device: Device
    model: "MaskedLM"
    tokenizer: "PreTrainedTokenizerFast"
    hf_config: "PreTrainedConfig"
    base_model: dict[str, str | None] | None
    store: TokenStore
    batches: MaskedBatches
    evaluation_batches: EvaluationBatches
    micro_batches: int
    total_steps: int
    examples: Sequence[Example] = ()

    @property
    def fingerprint(self) -> str:
        """Hash of texts and tokenizer, by which a resumed run is recognized."""
        return self.store.fingerprint

    @property
    def learning_rate(self) -> float:
        """The peak learning rate."""
        return self.config.learning_rate

    def rate_factors(self) -> dict[str, float]:
        """Return the factors of the learning rates of variables: none, all learn at one rate."""
        return {}

    def element_loss(self) -> "ElementLoss":
        """Return the loss of each masked token."""
        from mlm.training.step.loss import masked_lm_loss

        return masked_lm_loss(self.model.compile_fused_ops())

    def make_evaluator(self, at_most: int | None = None) -> "Evaluator":
        """Return the evaluator on held-out texts; see RunParts."""
        from mlm.evaluation.evaluator import Evaluator

        batches = self.evaluation_batches
        if at_most is not None:
            batches = batches.first(at_most)
        return Evaluator(self.model, batches, jit_compile=self.device.jit_compile)


def prepare(
    config: TrainingConfig,
    tokens: Path,
    report: Callable[[str], None],
    *,
    global_batch_size: int | None = None,
) -> Preparation:
    """Read model and texts.

    Args:
        config: of the run.
        tokens: folder for the token store.
        report: gets lines about the texts.
        global_batch_size: that of the run to resume, whatever devices there are now.

    Raises:
        UserError: what cannot work.
    """
    device = choose_device(config.precision)
    rows, micro_batches = rows_per_replica(config, device.num_replicas, global_batch_size)
    checkpoint, base_model = _load_model(config, device, report)
    model, tokenizer = checkpoint.model, checkpoint.tokenizer
    with processes.first_before_others():
        store = _token_store(config, tokenizer, tokens)
    for line in _notes_on_texts(config, store, tokenizer):
        report(line)
    facts = TokenFacts.of(tokenizer)
    batches = _training_batches(
        config, store, facts, rows * device.num_replicas, dynamic_padding=not device.one_shape
    )
    total_steps = count_steps(config, batches.num_sequences, batches.global_batch_size)
    batches.check_targets(total_steps)
    for line in _notes_on_words(config, batches):
        report(line)
    return Preparation(
        config=config,
        device=device,
        model=model,
        tokenizer=tokenizer,
        hf_config=checkpoint.hf_config,
        base_model=base_model,
        store=store,
        batches=batches,
        evaluation_batches=_evaluation_batches(config, store, facts, device.num_replicas),
        micro_batches=micro_batches,
        total_steps=total_steps,
    )


def _load_model(
    config: TrainingConfig, device: Device, report: Callable[[str], None]
) -> tuple["Checkpoint", dict[str, str | None] | None]:
    """Return the model to train, with its lower layers frozen, and the model it comes from."""
    work = "reading the model" if config.model_name_or_path else "making a tokenizer and a model"
    with device.scope(), progress(work):
        checkpoint, base_model = load_initial_checkpoint(config, device.policy, report)
    check_length(config, checkpoint.model.config.max_position_embeddings)
    checkpoint.model.freeze_lower_layers(config.freeze_layers)
    return checkpoint, base_model


def _notes_on_texts(
    config: TrainingConfig, store: TokenStore, tokenizer: "PreTrainedTokenizerFast"
) -> Iterator[str]:
    """Yield lines on how the texts were read, some of them, and the words added for them."""
    yield store.report_line
    shown = SAMPLES_OF_DRY_RUN if config.dry_run else SAMPLES
    yield from sample_lines(store.train, tokenizer, shown)
    if config.add_words_file:
        words = read_words(config.add_words_file)
        yield from report_added_words(tokenizer, words, store.train.tokens)


def count_steps(config: RunSettings, num_sequences: int, global_batch_size: int) -> int:
    """Return the number of optimizer updates of a whole run."""
    if config.max_steps > 0:
        return config.max_steps
    return max(1, math.ceil(config.num_train_epochs * num_sequences / global_batch_size))


def rows_per_replica(
    config: RunSettings, replicas: int, global_batch_size: int | None
) -> tuple[int, int]:
    """Return how many rows a replica has in a step, and in how many micro-batches."""
    at_once = config.per_device_train_batch_size
    if global_batch_size is None:
        return at_once * config.gradient_accumulation_steps, config.gradient_accumulation_steps
    rows, left_over = divmod(global_batch_size, replicas)
    if left_over:
        raise ConfigError(
            f"this run has {global_batch_size} sequences per step, which cannot be divided evenly "
            f"among {replicas} devices; resume on a number of devices that divides it"
        )
    micro_batches = next(
        parts for parts in range(1, rows + 1) if rows % parts == 0 and rows <= parts * at_once
    )
    return rows, micro_batches


def check_length(config: RunSettings, longest: int) -> None:
    """Raise ConfigError if the sequences of a run are longer than its model takes."""
    if config.max_seq_length > longest:
        raise ConfigError(
            f"--max_seq_length is {config.max_seq_length}; this model has positions for "
            f"{longest}; give that or less"
        )


def _token_store(
    config: TrainingConfig, tokenizer: "PreTrainedTokenizerFast", folder: Path
) -> TokenStore:
    if config.token_store:
        return open_token_stores(config.token_store, tokenizer)
    return build_token_store(
        folder,
        tokenizer,
        train_files=config.train_file,
        validation_files=config.validation_file,
        text_column=config.text_column,
        encoding=config.encoding,
        encoding_errors=config.encoding_errors,
        clean_html=config.clean_html,
        validation_split_percentage=config.validation_split_percentage,
        max_train_samples=config.max_train_samples,
    )


def _training_batches(
    config: TrainingConfig,
    store: TokenStore,
    facts: TokenFacts,
    global_batch_size: int,
    *,
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

    constant_rate = batches(None)
    if config.final_mlm_probability is None:
        return constant_rate
    # A changing rate needs the number of steps, which needs the number of sequences.
    return batches(count_steps(config, constant_rate.num_sequences, global_batch_size))


def _notes_on_words(config: TrainingConfig, batches: MaskedBatches) -> Iterator[str]:
    """Yield what --whole_word_mask or --span_mask takes for words in these texts, if not plain."""
    flag = "--span_mask" if config.span_mask else "--whole_word_mask"
    share = batches.unspaced_share()
    if share > NOTED_SHARE:
        yield (
            f"{flag}: {share:.0%} of the words are in scripts without spaces (Chinese, Japanese, "
            "Thai, ...), where a character with its marks is a word, or a token of several"
        )
    if batches.cuts_words:
        yield (
            f"{flag}: words have many tokens here, so that a sequence's last word may be masked "
            f"in part, to keep to {config.mlm_probability:.0%} of the tokens"
        )


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
