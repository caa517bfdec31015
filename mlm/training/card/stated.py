"""Facts on a card that cannot be measured: licences, languages, data sets, a Space of the model.

training.json has them under `config` if the training run was given them, and under `card` if they
were added to the finished checkpoint. Values that the Hub would refuse are left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

from mlm.hub.names import DATASET, LANGUAGE, LICENCE, SPACE
from mlm.training.card.training_json import TrainingJson

HUB_FILE = re.compile(r"hf://datasets/([\w-]+/[\w.-]+)(?:@[^/]+)?/.+", re.ASCII)
SETTINGS = ("language", "license", "dataset_tags", "dataset_license", "hub_space")
# As the Hub spells them (docs/hub/repositories-licenses); any other is `other` with a name.
LICENCES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m
bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause
bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0
cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0
cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0
etalab-2.0 eupl-1.1 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c
ms-pl mpl-2.0 odc-by odbl openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl
lgpl-lr deepfloyd-if-license llama2 gemma unknown
"""


@dataclass(frozen=True)
class StatedFacts:
    """Facts that a person states about a model.

    Attributes:
        languages: ISO 639 codes of the texts.
        licence: Licence of the weights.
        datasets: Ids on the Hub of the texts.
        dataset_licence: Licence of the texts.
        space: Space (owner/name) that serves the model.
    """

    languages: tuple[str, ...]
    licence: str | None
    datasets: tuple[str, ...]
    dataset_licence: str | None
    space: str | None


class LicenceFields(TypedDict, total=False):
    """The metadata fields that name a licence."""

    license: str
    license_name: str


def stated_facts(training: TrainingJson) -> StatedFacts:
    """Return the facts in training.json that the Hub accepts; `card` counts before `config`."""
    given = {**training.get("config", {}), **training.get("card", {})}
    hub_files = map(HUB_FILE.fullmatch, _matching(given.get("train_file"), HUB_FILE))
    datasets = [
        *_matching(given.get("dataset_tags"), DATASET),
        *(found[1] for found in hub_files if found),
    ]
    return StatedFacts(
        languages=tuple(dict.fromkeys(_matching(given.get("language"), LANGUAGE))),
        licence=next(_matching(given.get("license"), LICENCE), None),
        datasets=tuple(dict.fromkeys(datasets)),
        dataset_licence=next(_matching(given.get("dataset_license"), LICENCE), None),
        space=next(_matching(given.get("hub_space"), SPACE), None),
    )


def licence_fields(licence: str | None) -> LicenceFields:
    """Return the metadata fields for a licence; {} for None."""
    if licence is None:
        return {}
    name = licence.lower()
    if name in LICENCES.split():
        return {"license": name}
    return {"license": "other", "license_name": name}


def _matching(value: object, pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield the texts in a setting, one value or a list, that match the whole pattern."""
    values = value if isinstance(value, list) else [value]
    return (each for each in values if isinstance(each, str) and pattern.fullmatch(each))
