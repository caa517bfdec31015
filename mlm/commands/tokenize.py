r"""Make a token store of texts, to train on with `mlm train --token_store`.

    mlm tokenize tokens/part-00 --train_file 'texts/00*.jsonl.gz' \
        --model_name_or_path google-bert/bert-base-uncased

For texts that are too many for one disk: make a store of each part, on as many machines as you
like, upload the folders to a bucket or the Hub with its own tool, and train on them there:

    mlm train --token_store 'hf://datasets/me/tokens/part-*' \
        --model_name_or_path google-bert/bert-base-uncased --max_steps 100000

The share to hold out is chosen by the texts themselves, so that all parts agree on it. A text that
is in two parts is seen twice. Exit codes: 0 done; 2 bad arguments or texts, in one line.
"""

import argparse

from mlm.backend.startup import keep_pytorch_out
from mlm.commands.arguments import check_files, check_settings, setting_help
from mlm.commands.invocation import exit_code, program
from mlm.data.texts.choices import CLEAN_HTML, ENCODING_ERRORS
from mlm.hub.pull import check_name
from mlm.terminal.lines import say, wrapped
from mlm.terminal.progress import progress
from mlm.training.config import TrainingConfig

AS_IN_TRAINING = (
    "model_revision",
    "text_column",
    "encoding",
)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    about = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog=program("tokenize"), description=about)
    add = parser.add_argument
    add("folder", help="folder for the token store")
    add("--train_file", nargs="+", required=True, help=setting_help("train_file"))
    add("--model_name_or_path", required=True, help="checkpoint whose tokenizer to use")
    for name in AS_IN_TRAINING:
        add(f"--{name}", help=setting_help(name))
    for name, choices in (("encoding_errors", ENCODING_ERRORS), ("clean_html", CLEAN_HTML)):
        default = getattr(TrainingConfig, name)
        add(f"--{name}", choices=choices, default=default, help=setting_help(name))
    add(
        "--validation_split_percentage",
        type=float,
        default=TrainingConfig.validation_split_percentage,
        help="percentage of the documents to hold out",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    given = parse(arguments)
    keep_pytorch_out()
    return exit_code(lambda: _tokenize(given))


def _tokenize(given: argparse.Namespace) -> None:
    check_settings(vars(given))
    check_files(given.train_file)
    check_name(given.model_name_or_path)
    say(f"tokenizing {', '.join(given.train_file)} as {given.model_name_or_path} does")
    from mlm.checkpoint.tokenizer import load_tokenizer
    from mlm.data.tokens.corpus import build_token_store
    from mlm.data.tokens.sample_texts import sample_lines
    from mlm.hub import fetch_checkpoint

    with progress(f"opening {given.model_name_or_path}"):
        fetched = fetch_checkpoint(given.model_name_or_path, given.model_revision)
        tokenizer = load_tokenizer(fetched.folder)
    store = build_token_store(
        given.folder,
        tokenizer,
        train_files=given.train_file,
        text_column=given.text_column,
        encoding=given.encoding,
        encoding_errors=given.encoding_errors,
        clean_html=given.clean_html,
        validation_split_percentage=given.validation_split_percentage,
    )
    print(wrapped(store.report_line), *sample_lines(store.train, tokenizer), sep="\n")
    print(f"token store: {given.folder}")
