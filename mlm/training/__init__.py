"""A TrainingConfig to a published checkpoint.

config.py              every setting: setting.py (what a setting is), config_rules.py (the rules
                       between settings), config_overrides.py, recipe_file.py
first_checks.py        what can be refused before Keras is loaded; whether the run has finished
trainer.py             the story of a training, from top to bottom
preparation.py         model, texts and batches: initial_checkpoint.py, added_words.py
compiled_learner.py    the compiled model of a run; step/ is one update of it
run.py                 the steps: record.py (progress), progress.py (the bar), event_log.py,
                       stopping.py, state/ (save and resume)
summary.py             what people read before the first step; outcome.py: after the last one
result.py              the checkpoint folder, its record and its card (card/), published
dry_run.py             what a run would take
suggested_words.py     words to add to a vocabulary
"""
