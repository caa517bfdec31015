"""The checkpoint folder that `transformers` reads: verified as untrusted files, loaded, saved.

file_limits.py         names of the files of a checkpoint, limits on their sizes
strict_json.py         JSON of untrusted files
config_bounds.py       config.json: bounds of its numbers
config_values.py       config.json: rules for every value
task.py                Task: the problem type and the labels of a classifier
families/              the model families: config -> EncoderConfig, names of their tensors
config_json.py         config.json, read and checked
config_task.py         the task that a config states; a config for a task
safetensors_header.py  the header of a weight file
weight_files.py        one weight file or shards with an index, and their headers
tensor_locations.py    the tensors that config.json implies, found in the headers
weights.py             tensors <-> variables of the model
tokenizer_files/       the tokenizer files, checked before a library opens them
tokenizer.py           the tokenizer: load, save, encode texts
folder.py              the whole folder: read_checkpoint, save_checkpoint, verify_folder
task_checkpoint.py     the folder of a classifier: read_task_checkpoint
run_state.py           the resumable state of a training run
record/                the card and training.json of a checkpoint, for cards and pages
"""
