"""A TrainingConfig to a published checkpoint; the run itself serves fine-tuning too.

config.py              every setting: run_settings.py (those of any run), setting.py (what a
                       setting is), config_rules.py, config_overrides.py, recipe_file.py
first_checks.py        what can be refused before Keras is loaded; whether the run has finished
trainer.py             the story of a training, from top to bottom: job.py (what differs)
masked_lm.py           the job of masked-LM training: what it reads, says and writes
preparation.py         model, texts and batches: initial_checkpoint.py, added_words.py
compiled_learner.py    the compiled model of a run; step/ is one update of it
run.py                 the steps: run_parts.py (what they need), run_progress.py, progress.py (the
                       bar), event_log.py, stopping.py, state/ (save and resume)
summary.py             what people read before the first step; outcome.py: after the last one
record.py              training.json; card/ the checkpoint's card; publishing.py the Hub
dry_run.py             what a run would take
suggested_words.py     words to add to a vocabulary
"""
