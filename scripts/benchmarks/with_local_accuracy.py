"""Run a script of transformers, unchanged, with a local metric in place of the library evaluate.

    python scripts/benchmarks/with_local_accuracy.py run_classification.py FLAGS

`evaluate.load("accuracy")` asks the Hub for a metric that calls scikit-learn. Here it is called
directly, so that the script runs without a network and without that library.
"""

import runpy
import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec

from numpy.typing import ArrayLike
from sklearn.metrics import accuracy_score


class Accuracy:
    """Metric with the interface of those of evaluate."""

    def compute(self, *, predictions: ArrayLike, references: ArrayLike) -> dict[str, float]:
        """Return the share of right predictions."""
        return {"accuracy": float(accuracy_score(references, predictions))}


def load(name: str, **options: object) -> Accuracy:
    """Return the metric `accuracy`, the only one here; options: of evaluate, for its files."""
    if name != "accuracy":
        raise ValueError(f"the metric {name!r} is not available here; pass --metric_name accuracy")
    return Accuracy()


if __name__ == "__main__":
    evaluate = module_from_spec(ModuleSpec("evaluate", None))
    vars(evaluate)["load"] = load
    sys.modules["evaluate"] = evaluate
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
