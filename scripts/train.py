"""Adapt a checkpoint to texts, or train one from scratch, and publish it: `mlm train`."""

import sys

from mlm.commands.train import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
