"""The playground: `python app.py`, or a Hugging Face Space.

MLM_MODEL            a checkpoint folder, a Hub id or a Hub id at a revision (me/model@v1); several,
                     separated by commas, are shown side by side, the first one being the main
                     model; default: the bundled model
MLM_ENGINE           the default of --engine
GRADIO_SERVER_PORT   and Gradio's other variables mean what they mean to Gradio
"""

from mlm.playground.serve import main

raise SystemExit(main())
