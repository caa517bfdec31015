"""A FinetuningConfig to a published classifier, and what its adaptation was worth.

config.py            every setting, config_rules.py the rules between them; first_checks.py what can
                     be refused before Keras is loaded
finetune.py          the story of a fine-tuning: run by training/trainer.py, or a probe
job.py               what differs from masked-LM training: what it reads, says and writes
preparation.py       texts (labelled_sides.py), model and batches
probe.py             a classifier on an encoder that stays as it is: features.py, linear.py
learning_curve.py    the score by the number of labels: comparison.py and systems.py (who is
                     compared), tfidf.py
zero_shot.py         the masked LM itself as a classifier, by label_words.py; zero_shot_run.py: its
                     figures without any training
summary.py           what people read before the first step; outcome.py after the last one
record.py            training.json
"""
