"""Text for people at a terminal, or in a log: signs of life and tables.

progress.py  show that something takes long, or how far a run is
tables.py    lay out rows in columns
lines.py     print lines: broken at words on stdout, at once on stderr

On a terminal `rich` draws; elsewhere plain lines of at most 80 columns are written.
"""
