"""Patterns of the names that the Hub accepts in a card's metadata, for repositories and for tags.

One wrong name makes the Hub refuse the whole publication, so they are checked before a training.
"""

import re

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?|code|multilingual")
LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,59}")
DATASET = re.compile(r"([\w-]+/)?[\w.-]+", re.ASCII)
SPACE = re.compile(r"[\w-]+/[\w.-]+", re.ASCII)
# Names of branches and tags: git's rules in ASCII, without those that name something else already.
REF = (
    r"(?!.*(\.\.|//|/\.|\./))(?!.*\.lock(/|$))(?!(refs/|HEAD$|training-state$|[0-9a-f]{40}$))"
    r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}(?<![./])"
)
BRANCH = re.compile(REF)
TAG = re.compile("(?!main$)" + REF)
