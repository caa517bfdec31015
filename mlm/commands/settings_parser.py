"""An argument parser made of the settings of a config class: a group each, one spelling shown."""

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any, get_type_hints

from mlm.training.setting import Setting, default_of, settings_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


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
    """Return `transformers.HfArgumentParser` for a config class, its settings in their groups.

    options: as argparse.ArgumentParser takes them.
    """
    from transformers import HfArgumentParser

    return HfArgumentParser(
        _groups(config_class), formatter_class=_Formatter, allow_abbrev=False, **options
    )


def given_settings(arguments: list[str]) -> set[str]:
    """Return the names of the settings that the arguments mention, in either spelling."""
    flags = (word.partition("=")[0] for word in arguments if word.startswith("--"))
    return {flag.removeprefix("--").replace("-", "_") for flag in flags}


def _groups(config_class: "type[DataclassInstance]") -> list[Any]:
    """Return a dataclass for each group: HfArgumentParser makes an argument group of each.

    It hands all metadata of a field to argparse, so these fields have their help alone.
    """
    kinds, settings = get_type_hints(config_class), settings_of(config_class)
    groups: dict[str, list[tuple[str, Any, Any]]] = {}
    for field in dataclasses.fields(config_class):
        about = settings[field.name]
        plain = _plain_field(field, about)
        groups.setdefault(about.group, []).append((field.name, kinds[field.name], plain))
    return [
        dataclasses.make_dataclass(name, fields, namespace={"_argument_group_name": name})
        for name, fields in groups.items()
    ]


def _plain_field(field: "dataclasses.Field[Any]", about: Setting) -> Any:
    default = default_of(field)
    metadata = {"help": about.help.replace("%", "%%")}
    if isinstance(default, list):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
