"""The command `mlm`: the first word names what to do, the rest belongs to that.

mlm train --train_file imdb.csv --model_name_or_path google-bert/bert-base-uncased
mlm fill "I have watched this [MASK] and it was awesome."
"""

import sys
from importlib import import_module

from mlm.commands.invocation import (
    FAILED,
    check_installed,
    exit_code,
    prepare_streams,
)

COMMANDS = {  # name, which is also the module's -> what `mlm --help` says of it
    "models": "list base models to start from: size, languages, which to take",
    "train": "adapt a checkpoint to texts, or train one from scratch, and publish it",
    "finetune": "train a classifier on labelled texts, and measure what it is worth",
    "tokenize": "make a token store, for more texts than one disk holds",
    "evaluate": "measure a checkpoint on texts, or compare several",
    "card": "measure a checkpoint and write the figures into its card",
    "push": "publish a checkpoint folder on the Hugging Face Hub",
    "fill": "fill the masks of a sentence, or of a file of sentences",
    "classify": "label texts, or a file of texts, with a fine-tuned checkpoint",
    "serve": "open the web page on one or more checkpoints",
    "space": "put the web page on the Hub, as a Space",
}
TRAINING = ("train", "keras", "pandas", "pyarrow", "fsspec", "charset_normalizer")
NEEDS = {  # command -> an extra of the project, and libraries that it installs
    "train": TRAINING,
    "finetune": (*TRAINING, "sklearn"),
    "tokenize": TRAINING,
    "evaluate": TRAINING,
    "card": TRAINING,
    "serve": ("page", "gradio"),
}
WIDTH = max(map(len, COMMANDS))
USAGE = "usage: mlm [--help] [--version] COMMAND ..."
HELP = "\n".join(
    [
        USAGE,
        "",
        "Adapt a BERT-like model to your texts, publish it, use it.",
        "",
        *(f"  {name:{WIDTH}}  {about}" for name, about in COMMANDS.items()),
        "",
        "`mlm COMMAND --help` lists the settings of a command.",
    ]
)


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code; `arguments` are sys.argv[1:] by default."""
    prepare_streams()
    words = sys.argv[1:] if arguments is None else arguments
    return exit_code(lambda: _run(words))


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(HELP)
        return 0 if words else FAILED
    name, *rest = words
    if name == "--version":
        from mlm import __version__

        print(f"mlm {__version__}")
        return 0
    if name not in COMMANDS:
        print(
            f"{USAGE}\nmlm: error: {name!r} is not a command; expected one of "
            f"{', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        return FAILED
    if name in NEEDS:
        check_installed(*NEEDS[name])
    command: int = import_module(f"mlm.commands.{name}").main(rest)
    return command
