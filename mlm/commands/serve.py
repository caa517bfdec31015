"""Open the page on one or more checkpoints, until it is stopped.

    mlm serve                                  # the bundled model
    mlm serve runs/imdb
    mlm serve runs/imdb google-bert/bert-base-uncased --share

Gradio's variables, such as GRADIO_SERVER_PORT, mean what they mean to Gradio. Exit codes: 0 ended;
2 a setting or a model that cannot be used, in one line.
"""

from mlm.commands.invocation import program


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    from mlm.playground.serve import main as serve

    return serve(arguments, prog=program("serve"))
