"""CamemBERT (Martin et al. 2020): RoBERTa for French, with a Unigram tokenizer."""

from dataclasses import replace

from mlm.checkpoint.families import roberta

FAMILY = replace(roberta.FAMILY, model_type="camembert", architecture="CamembertForMaskedLM")
