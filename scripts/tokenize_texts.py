"""Make a token store of texts, to train on it with train.py --token_store.

    python scripts/tokenize_texts.py tokens/part-00 --train_file 'texts/00*.jsonl.gz' \\
        --model_name_or_path google-bert/bert-base-uncased

For texts that are too many for one disk: make a store of each part, on as many machines as you
like, send the folders to a bucket or the Hub with its own tool, and train on them where they are:

    python scripts/train.py --token_store 'hf://datasets/me/tokens/part-*' \\
        --model_name_or_path google-bert/bert-base-uncased --max_steps 100000

The share that is held out is chosen by the texts alone, so all parts agree in it; a text that two
parts have is seen twice. Exit codes: 0 done; 2 bad arguments or texts, in one line.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlm.backend.startup import keep_pytorch_out
from mlm.errors import UserError


def parse(arguments: list[str]) -> argparse.Namespace:
    about = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(description=about)
    add = parser.add_argument
    add("folder", help="where the token store goes")
    add("--train_file", nargs="+", required=True, help="files and globs, as train.py takes them")
    add("--model_name_or_path", required=True, help="the checkpoint whose tokenizer is to be used")
    add("--model_revision", help="branch, tag or commit of a checkpoint of the Hub")
    add("--text_column", help="column with the text; found by itself if obvious")
    add("--encoding", help="of the text files; UTF-8 when left out")
    add("--validation_split_percentage", type=float, default=5.0, help="share that is held out")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    given = parse(arguments)
    keep_pytorch_out()
    from mlm.checkpoint.tokenizer import load_tokenizer
    from mlm.data.tokens.corpus import build_token_store
    from mlm.hub import fetch_checkpoint

    try:
        fetched = fetch_checkpoint(given.model_name_or_path, given.model_revision)
        store = build_token_store(
            given.folder,
            load_tokenizer(fetched.folder),
            train_files=given.train_file,
            text_column=given.text_column,
            encoding=given.encoding,
            validation_split_percentage=given.validation_split_percentage,
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{store.report_line}\ntoken store: {given.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
