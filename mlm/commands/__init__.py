"""The command line: `mlm COMMAND ...`; the files of scripts/ start the same functions.

main.py             finds the command; `mlm --help` lists them
invocation.py       the words that a command was started with, its errors and its exit code
settings_parser.py  an argument parser made of a config class's settings
arguments.py        arguments of several commands: help, and checks that need no heavy library
waits.py            signs of life while Keras is loaded, and while something is uploaded
models.py, train.py, tokenize.py, evaluate.py, card.py, push.py, fill.py, serve.py, space.py
                    a command each: `main(arguments) -> exit code`
evaluation_report.py, space_report.py
                    what evaluate and space print, as text and as JSON
"""
