"""Values of the settings of reading, without the libraries that reading takes."""

ENCODING_ERRORS = ("strict", "replace", "ignore")  # for bytes that the encoding does not know
CLEAN_HTML = ("auto", "yes", "no")  # see html_markup.py
