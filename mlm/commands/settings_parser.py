"""An argument parser made of the settings of a config class: a group each, one spelling shown.

It takes what `transformers.HfArgumentParser` takes for the same class; that one costs a second of
imports before the first word of a command.
"""

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from mlm.training.setting import GROUPS, Setting, default_of, settings_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

TRUE, FALSE = ("yes", "true", "t", "y", "1"), ("no", "false", "f", "n", "0")


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows `--max_steps N` once, although `--max-steps` is accepted as well; no empty defaults."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default else action.help

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        values = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{action.option_strings[0]} {values}"


def settings_parser(
    config_class: "type[DataclassInstance]", **options: Any
) -> argparse.ArgumentParser:
    """Return a parser of the settings of a config class, in their groups.

    options: as argparse.ArgumentParser takes them.
    """
    parser = argparse.ArgumentParser(formatter_class=_Formatter, allow_abbrev=False, **options)
    kinds, settings = get_type_hints(config_class), settings_of(config_class)
    used = {about.group for about in settings.values()}
    groups = {name: parser.add_argument_group(name) for name in GROUPS if name in used}
    for field in dataclasses.fields(config_class):
        about = settings[field.name]
        groups[about.group].add_argument(
            *_spellings(field.name, about),
            dest=field.name,
            default=default_of(field),
            help=about.help.replace("%", "%%"),
            **_values_of(kinds[field.name]),
        )
    return parser


def given_settings(arguments: list[str], config_class: "type[DataclassInstance]") -> set[str]:
    """Return the names of the settings that the arguments mention, in any spelling."""
    flags = {word.partition("=")[0] for word in arguments if word.startswith("--")}
    return {
        name
        for name, about in settings_of(config_class).items()
        if flags & set(_spellings(name, about))
    }


def _spellings(name: str, about: Setting) -> list[str]:
    """Return the flags of a setting, the one that is shown first."""
    names = (name, *about.aliases)
    spelled = (each for given in names for each in (given, given.replace("_", "-")))
    return [f"--{each}" for each in dict.fromkeys(spelled)]


def _values_of(kind: Any) -> dict[str, Any]:
    """Return how argparse reads the values of a setting of this type."""
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    if get_origin(kind) is list:
        return {"type": get_args(kind)[0], "nargs": "+"}
    if kind is bool:
        return {"type": _truth, "nargs": "?", "const": True}
    # Of an optional setting, the type besides None.
    return {"type": next((each for each in get_args(kind) if each is not type(None)), kind)}


def _truth(word: str) -> bool:
    if word.lower() not in TRUE + FALSE:
        raise argparse.ArgumentTypeError(f"{word!r} is neither true nor false")
    return word.lower() in TRUE
