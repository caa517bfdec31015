"""Make a token store of texts, to train on: `mlm tokenize`."""

import sys

from mlm.commands.tokenize import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
