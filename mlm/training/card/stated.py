"""What a card says that nobody measured: licences, languages, data sets, where to try the model.

It stands in training.json under `config` where a run was told it, and under `card` where it was
said of a finished checkpoint. What the Hub would refuse is left out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlm.hub.names import DATASET, LANGUAGE, LICENCE, SPACE

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
class Stated:
    """languages: ISO 639 codes; licence: of the weights; datasets: ids on the Hub;
    dataset_licence: of the texts; space: owner/name of a page that serves the model.
    """

    languages: tuple[str, ...]
    licence: str | None
    datasets: tuple[str, ...]
    dataset_licence: str | None
    space: str | None


def stated_in(training: Mapping[str, Any]) -> Stated:
    """What of it training.json says in a form that the Hub takes."""
    given = {**training.get("config", {}), **training.get("card", {})}
    of_files = map(HUB_FILE.fullmatch, _fit(given.get("train_file"), HUB_FILE))
    datasets = [
        *_fit(given.get("dataset_tags"), DATASET),
        *(found[1] for found in of_files if found),
    ]
    return Stated(
        tuple(dict.fromkeys(_fit(given.get("language"), LANGUAGE))),
        next(_fit(given.get("license"), LICENCE), None),
        tuple(dict.fromkeys(datasets)),
        next(_fit(given.get("dataset_license"), LICENCE), None),
        next(_fit(given.get("hub_space"), SPACE), None),
    )


def licence_fields(licence: str | None) -> dict[str, str]:
    """The metadata that names a licence."""
    if licence is None:
        return {}
    known = licence.lower()
    return (
        {"license": known}
        if known in LICENCES.split()
        else {"license": "other", "license_name": known}
    )


def _fit(value: Any, pattern: re.Pattern[str]) -> Iterator[str]:
    """Of a setting's value or values, those that match."""
    values = value if isinstance(value, list) else [value]
    return (each for each in values if isinstance(each, str) and pattern.fullmatch(each))
