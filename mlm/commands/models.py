"""List base models that are known to suit: size, languages, length, licence, and which to take.

    mlm models
    mlm models --language de
    mlm models --json

The list is made by hand (mlm/hub/base_models.py) and asks no network. Any other checkpoint of a
known family works as well: `mlm train --model_name_or_path owner/name --dry_run` says so.
"""

import argparse
import json
import textwrap
from collections.abc import Iterator, Sequence

from mlm.commands.arguments import json_flag
from mlm.commands.invocation import exit_code, program
from mlm.errors import ConfigError
from mlm.hub.base_models import BASE_MODELS, REFUSED, BaseModel
from mlm.hub.names import LANGUAGE
from mlm.terminal.tables import PLAIN_WIDTH, format_table

TAKE = (  # what for, which model
    ("a first try", "demo (bundled: film reviews), google/bert_uncased_L-2_H-128_A-2"),
    ("a laptop", "distilbert/distilbert-base-uncased"),
    ("English, with a GPU", "answerdotai/ModernBERT-base, FacebookAI/roberta-base"),
    ("law", "nlpaueb/legal-bert-base-uncased"),
    ("science, medicine", "allenai/scibert_scivocab_uncased, emilyalsentzer/Bio_ClinicalBERT"),
    ("German", "google-bert/bert-base-german-cased, deepset/gbert-base"),
    ("French", "almanach/camembert-base"),
    ("Chinese", "google-bert/bert-base-chinese, hfl/chinese-roberta-wwm-ext"),
    ("Japanese, Thai, Hindi, ...", "FacebookAI/xlm-roberta-base"),
)
HONESTY = (
    "Each family was checked against PyTorch with small models, and so was each kind of tokenizer; "
    "these checkpoints themselves were not run here. Licences are those that the cards state: read "
    "the card before you publish."
)
INCOMPLETE = (
    "* Not checked: its main branch may lack safetensors weights, or model_type in config.json. If "
    "so, the run says it at once; the Hub often has safetensors weights as a pull request: "
    "--model_revision refs/pr/N."
)
INDENT = "    "


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    about = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog=program("models"), description=about)
    parser.add_argument("--language", help="only those for a language: an ISO 639 code such as de")
    json_flag(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    given = parse(arguments)
    return exit_code(lambda: _list(given))


def _list(given: argparse.Namespace) -> None:
    models = models_for(given.language)
    if given.json:
        print(json.dumps([_as_dict(model) for model in models], indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(_parts(models, show_choice=given.language is None)))


def models_for(language: str | None) -> list[BaseModel]:
    """Return the models that know a language, those for it alone first; all for None.

    Raises:
        ConfigError: not a language's code, or one that no model of the list knows.
    """
    if language is None:
        return list(BASE_MODELS)
    code = language.lower().partition("-")[0]  # pt-BR is pt here
    if not LANGUAGE.fullmatch(code):
        raise ConfigError(f"--language is {language!r}; expected an ISO 639 code, e.g. de")
    found = [model for model in BASE_MODELS if code in model.languages]
    if not found:
        raise ConfigError(
            f"no base model of this list knows the language {language!r}: look for one on the Hub, "
            "or train from scratch (`mlm train` without --model_name_or_path)"
        )
    return found


def _parts(models: Sequence[BaseModel], *, show_choice: bool) -> Iterator[str]:
    yield "\n".join(map(_entry, models))
    if show_choice:
        yield format_table(["for", "take"], [list(row) for row in TAKE], numbers=False)
        refused = [[name, reason] for name, reason in REFUSED.items()]
        yield format_table(["does not work", "because"], refused, numbers=False)
    notes = [HONESTY]
    if any(not model.is_complete for model in models):
        notes.append(INCOMPLETE)
    yield "\n".join(textwrap.fill(note, PLAIN_WIDTH) for note in notes)
    yield (
        "next: mlm train --train_file FILE --dry_run \\\n"
        f"{INDENT}--model_name_or_path {models[0].repo_id}"
    )


def _entry(model: BaseModel) -> str:
    """Return the name on a line of its own, to be copied, and the facts below it."""
    languages = ", ".join(model.languages)
    facts = [
        f"{len(model.languages)} languages" if model.is_multilingual else languages,
        f"{model.parameters:.0f} million parameters",
        f"{model.download_mb:,} MB",
        f"{model.max_length:,} tokens",
        model.licence or "no licence stated",
    ]
    return "\n".join(
        [
            model.repo_id + ("" if model.is_complete else " *"),
            *textwrap.wrap(
                f"{', '.join(facts)}: {model.use}",
                PLAIN_WIDTH,
                initial_indent=INDENT,
                subsequent_indent=INDENT,
                break_on_hyphens=False,
            ),
        ]
    )


def _as_dict(model: BaseModel) -> dict[str, object]:
    return {**model._asdict(), "download_mb": model.download_mb}
