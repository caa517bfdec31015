"""The playground: `python app.py`, or as a Hugging Face Space."""

from mlm.playground.serve import main

raise SystemExit(main())
