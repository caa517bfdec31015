"""Measure a checkpoint and write the figures into its card: `mlm card`."""

import sys

from mlm.commands.card import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
