"""The command line: `mlm COMMAND ...`; the files of scripts/ start the same functions.

main.py             finds the command; `mlm --help` lists them
invocation.py       the words that a command was started with, its errors and its exit code
settings_parser.py  an argument parser made of a config class's settings
train.py, tokenize.py, evaluate.py, card.py, push.py, fill.py, serve.py, space.py
                    a command each: `main(arguments) -> exit code`
"""
