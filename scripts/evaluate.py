"""Measure a checkpoint on texts: `mlm evaluate`."""

import sys

from mlm.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
