"""Publish a checkpoint folder on the Hugging Face Hub as one commit: `mlm push`."""

import sys

from mlm.commands.push import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
