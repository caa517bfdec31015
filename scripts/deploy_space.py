"""Create or update a Hugging Face Space of the page: `mlm space`."""

import sys

from mlm.commands.space import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
