"""Labelled files to texts with labels, checked, split and sampled.

labelled_settings.py  the settings that decide how files become labelled texts
labelled_columns.py   find the columns of texts, pairs, words and labels
problem_types.py      find the problem type in the raw labels, and read the labels as that type asks
label_remarks.py      say which labels may be misspelt
labelled_texts.py     LabelledTexts: texts, labels and their task, in columns of equal length
labelled_report.py    counts and notes for the user
conll.py              read lines of a word and its tag; tags.py brings tags to BIO form
class_folders.py      read a folder that has a folder of texts for each class
labelled_sources.py   the files and folders that are given, and what identifies them
checks.py             refuse what cannot be learned from or measured on
labelled_files.py     read the rows of files of any format: read_labelled
sampling.py           choose texts of all classes, by a seed
splitting.py          hold out validation texts, and remove texts that are in two sides
sides.py              training, validation and test texts: read_sides
"""
