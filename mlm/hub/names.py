"""Patterns of the names that the Hub accepts in a card's metadata, for repositories and for tags.

One wrong name makes the Hub refuse the whole publication, so they are checked before a training.
"""

import re

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?|code|multilingual")
LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,59}")
DATASET = re.compile(r"([\w-]+/)?[\w.-]+", re.ASCII)
SPACE = re.compile(r"[\w-]+/[\w.-]+", re.ASCII)
TAG = re.compile(r"(?!.*\.\.)(?!.*\.lock$)[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?<!\.)")
