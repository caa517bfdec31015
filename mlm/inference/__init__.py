"""Ask a checkpoint: the best words for masks, the score of a text, one masking step explained.

fill_mask.py       FillMask: opens a checkpoint, and answers all that it can be asked
masked_text.py     a user's text, checked and encoded, with its masks found
filling.py         spellings of the mask; the answers' dataclasses; a word put into its text
targets.py         the words that `fill` is to choose among, checked and encoded
composed_text.py   Unicode form NFC of a text, as training texts have it
predictor.py       texts to ids, ids to log-probabilities
engines/           the libraries that run the model: Keras, LiteRT
vocabulary.py      ids to words as a reader sees them
ranking.py         the highest of many scores
candidates.py      log-probabilities to the best words of a mask
whole_words.py     words of several pieces: scored, searched
joint_filling.py   all masks of a text together: beam search
comparison.py      words that rise and fall between two models, or two texts
word_spans.py      a text cut into its words
scoring.py         pseudo-log-likelihood of a text, word by word
masked_example.py  one text through the masking of a training step
row_reading.py     the rows of a CSV, TSV or text file
row_filling.py     many rows filled
row_writing.py     results to CSV
"""
