"""The command `mlm` as `python -m mlm`."""

from mlm.commands.main import main

if __name__ == "__main__":
    raise SystemExit(main())
