"""Text files to clean, distinct texts, as a stream.

text_files.py          open paths, globs and URLs: expand_files, read_rows
containers.py          find out by its first bytes what a file is: compression, zips, not text
encodings.py           decode bytes; encoding_detection.py explains those that cannot be decoded
text_formats.py        read JSON lines, Parquet and plain text
csv_dialect.py         find separator and quotes of a table; csv_rows.py reads it, and whole_rows.py
                       finds fields that have swallowed rows
text_column.py         choose the column that holds the texts
html_markup.py         remove HTML
long_documents.py      cut a book in one line into documents
clean_text.py          one text without mark-up and control characters
cleaning.py            the texts of files, clean and without duplicates: read_texts
seen_texts.py          remember the texts of a pass on disk
text_report.py         counts and notes for the user
choices.py             values of the settings of reading
"""
