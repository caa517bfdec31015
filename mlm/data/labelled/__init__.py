"""Labelled files to texts with labels, checked, split and sampled.

labelled_settings.py  the settings that decide how files become labelled texts
labelled_columns.py   find the columns of texts, pairs, words and labels
problem_types.py      find the problem type in the raw labels, and read the labels as that type asks
labelled_texts.py     LabelledTexts: texts, labels and their task, in columns of equal length
labelled_report.py    counts and notes for the user
labelled_files.py     read the rows of files of any format: read_labelled
"""
