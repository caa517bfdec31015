"""XLM-RoBERTa (Conneau et al. 2020): RoBERTa for a hundred languages, with a Unigram tokenizer."""

from dataclasses import replace

from mlm.checkpoint.families import roberta

FAMILY = replace(roberta.FAMILY, model_type="xlm-roberta", architecture="XLMRobertaForMaskedLM")
