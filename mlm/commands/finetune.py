"""Fine-tune a checkpoint on labelled texts: a classifier, its figures, its checkpoint.

    mlm finetune --model_name_or_path runs/imdb --train_file labelled.csv
    mlm finetune ... --labels_per_class 8 32 128 512 all --seeds 5 --compare base random tfidf
    mlm finetune ... --zero_shot "It was [MASK]." --label_words 0=bad,awful 1=good,great

Exit codes: 0 done, or done before by the same command; 2 bad arguments or data, nothing trained; 3
stopped by a signal with a whole state (run the same command again to resume); 1 anything else.
"""

from mlm import __version__
from mlm.commands.training_run import (
    exit_code_of,
    load_training_backend,
    parse_settings,
    refused,
    until_interrupted,
)
from mlm.errors import UserError
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.summary import intention
from mlm.terminal.lines import print_lines
from mlm.training.first_checks import finished_record


def parse(arguments: list[str]) -> FinetuningConfig:
    """Parse the command line; what is given there overrides the recipe of --config."""
    return parse_settings(
        FinetuningConfig,
        arguments,
        usage="--train_file FILE ... --model_name_or_path NAME ...",
        description=(__doc__ or "").splitlines()[0],
    )


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    return until_interrupted(lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    try:
        config = parse(arguments)
        if any(config.source_files.values()):
            print_lines(f"mlm {__version__}: {intention(config)}")
        if config.measures_only:
            return _measure(config)
        if record := finished_record(config):
            from mlm.finetuning.outcome import finished_lines

            print_lines("\n".join(finished_lines(config, record)))
            return 0
        from mlm.finetuning.first_checks import check_first

        check_first(config, print_lines)
        load_training_backend(config)
    except UserError as error:
        return refused(error)
    from mlm.finetuning.finetune import finetune, rehearse

    run = rehearse if config.dry_run else finetune
    return exit_code_of(lambda: run(config, report=print_lines, checked=True), config, arguments)


def _measure(config: FinetuningConfig) -> int:
    """Measure without training, and return the exit code; needs no TensorFlow."""
    from mlm.finetuning.zero_shot_run import measure_zero_shot

    measure_zero_shot(config, report=print_lines)
    return 0
