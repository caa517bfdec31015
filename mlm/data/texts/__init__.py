"""Text files to clean, distinct texts, as a stream.

text_files.py    open paths, globs and URLs; report undecodable bytes
text_formats.py  read CSV, TSV, JSON lines, Parquet and plain text
text_column.py   choose the column that holds the texts
long_documents.py  cut a book in one line into documents
cleaning.py      remove mark-up and duplicates: read_texts
"""
