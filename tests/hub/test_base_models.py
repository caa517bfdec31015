"""The list of base models: names, families, sizes."""

import pytest

from mlm.checkpoint.families import FAMILIES, encoder_config_of, new_config
from mlm.hub.base_models import BASE_MODELS, M_BERT, REFUSED, XLM_R, BaseModel
from mlm.hub.connection import checked_id
from mlm.hub.names import LANGUAGE, LICENCE

BY_NAME = {model.repo_id: model for model in BASE_MODELS}


@pytest.mark.parametrize("model", BASE_MODELS, ids=lambda model: model.repo_id)
def test_a_model_is_of_a_known_family_and_its_facts_have_their_form(model: BaseModel):
    assert model.model_type in FAMILIES
    assert checked_id(model.repo_id).count("/") == 1
    assert all(map(LANGUAGE.fullmatch, model.languages))
    assert not model.licence or LICENCE.fullmatch(model.licence)
    assert model.use and model.repo_id not in REFUSED


def test_each_model_is_listed_once():
    assert len(BY_NAME) == len(BASE_MODELS)


def test_multilingual_models_know_each_language_once():
    assert len(set(XLM_R)) == len(XLM_R) and len(set(M_BERT)) == len(M_BERT)
    assert {"de", "hi", "zh", "th", "ar", "ja"} <= set(XLM_R) & set(M_BERT)


@pytest.mark.parametrize(
    ("name", "vocab_size", "shape"),
    [
        ("google-bert/bert-base-uncased", 30522, {}),
        ("google-bert/bert-base-german-cased", 30000, {}),
        ("google-bert/bert-base-chinese", 21128, {}),
        ("google-bert/bert-base-multilingual-cased", 119547, {}),
        (
            "google/bert_uncased_L-2_H-128_A-2",
            30522,
            {
                "hidden_size": 128,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": 512,
            },
        ),
        ("FacebookAI/roberta-base", 50265, {"max_position_embeddings": 514, "type_vocab_size": 1}),
        (
            "FacebookAI/xlm-roberta-base",
            250002,
            {"max_position_embeddings": 514, "type_vocab_size": 1},
        ),
    ],
)
def test_the_parameters_are_those_of_the_config(name, vocab_size, shape):
    """Counted without making the weights of a model of 1 GB."""
    import keras

    from mlm.model.encoder import MaskedLM

    model = BY_NAME[name]
    config = encoder_config_of(new_config(model.model_type, vocab_size=vocab_size, **shape))
    with keras.StatelessScope(initialize_variables=False):
        masked_lm = MaskedLM(config)
        masked_lm.build()
    count = sum(int(keras.ops.prod(weight.shape)) for weight in masked_lm.weights)
    assert model.parameters == pytest.approx(count / 1e6, abs=0.1)
