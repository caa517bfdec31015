"""A classifier beside the page's models: it answers programs at `/classify`, and has no tab."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from gradio.events import api

from mlm.errors import ConfigError
from mlm.inference.classifier import Classifier
from mlm.inference.masked_text import check_text
from mlm.playground.tabs.tab import endpoint_errors

Asked = str | dict[str, object]


class ServedClassifier:
    """A classifier that is loaded in the background while the page is already served."""

    def __init__(self, name: str, load: Callable[[str], Classifier]):
        """Start to load it; `load` is called once, in a background thread."""
        self._future: Future[Classifier] = Future()
        threading.Thread(target=self._load, args=(name, load), daemon=True).start()

    @property
    def model(self) -> Classifier:
        """The classifier, after waiting for it. Raises UserError if it cannot be loaded."""
        return self._future.result()

    def _load(self, name: str, load: Callable[[str], Classifier]) -> None:
        try:
            model = load(name)
            model("a text")  # Keras traces a graph on the first call
        except Exception as error:  # raised again in the thread that needs the model
            self._future.set_exception(error)
        else:
            self._future.set_result(model)


def add_classify_api(served: ServedClassifier) -> None:
    """Add the endpoint `/classify`, for gradio_client, JavaScript and curl."""

    def classify(text: str, text_pair: str | None = None) -> list[Any]:
        """Return the labels of a text, or of a pair of texts, with their scores.

        A list of {label, score}, best first, as transformers.pipeline("text-classification",
        top_k=None) gives it; of a classifier of words a list of {entity_group, score, word, start,
        end}. A text that is too long is cut as in the training. text_pair is the second text, for a
        classifier of pairs.
        """
        with endpoint_errors():
            return served.model.answer([_check(text, text_pair)])[0].as_pipeline()

    api(classify, api_name="classify")


def _check(text: object, text_pair: object) -> Asked:
    """Return what a visitor asks; raise InputError for a text that is too long, of any type."""
    if text_pair is None:
        return check_text(text)
    return {"text": check_text(text), "text_pair": check_text(text_pair)}


def split_names(
    names: list[str], is_classifier: Callable[[str], bool]
) -> tuple[list[str], str | None]:
    """Return the names of masked LMs and that of the classifier, None if there is none.

    Raises ConfigError for two classifiers.
    """
    classifiers = [name for name in names if is_classifier(name)]
    if len(classifiers) > 1:
        raise ConfigError(
            f"{classifiers[0]} and {classifiers[1]} are classifiers, and /classify gives the "
            "answers of one: name only one of them"
        )
    others = [name for name in names if name not in classifiers]
    return others, classifiers[0] if classifiers else None
