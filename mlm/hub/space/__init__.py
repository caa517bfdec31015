"""A Space of the page, from the installed package alone.

settings.py       variables, secrets and hardware
files.py          the files of a Space: code, README, and requirements.txt as it is here
deploy.py         models pinned to commits; settings and files sent; the start waited for
"""

# Here, because imports run downward: the page may import it from hub/, not hub/ from the page.
TITLE = "Which word is missing?"
