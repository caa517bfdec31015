"""Measure a checkpoint folder on held-back texts and examples, and write both into its card: `mlm card`."""

import sys

from mlm.commands.card import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
