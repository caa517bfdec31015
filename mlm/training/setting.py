"""A setting of a run, defined once: default, help, group, bounds, and what depends on it.

`setting` makes the field of a config class. All else is derived from the field: the groups and the
help of the command line, the checks of single values (`check_values`), the settings that a resumed
run may change, those of a card's recipe, and those that hold local paths.
"""

import dataclasses
import math
import re
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from mlm.errors import ConfigError

GROUPS = (  # the headings of --help, in order
    *("Texts", "Labels", "Model", "Masking", "Head", "Optimization", "Run"),
    *("Comparison", "Publishing", "Card"),
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Bounds(NamedTuple):
    """The interval of the numbers that a setting takes; None leaves a side open."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    reason: str = ""

    def allows(self, value: float) -> bool:
        """Return whether a number is in the interval."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """Describe the interval, as it completes "expected ..."."""
        words = ("at least", "more than", "at most", "less than")
        limits = zip(words, (self.at_least, self.above, self.at_most, self.below), strict=True)
        said = " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)
        return f"{said} ({self.reason})" if self.reason else said


class Form(NamedTuple):
    """The form that a text, or each text of a list, has to have, and its description."""

    pattern: re.Pattern[str]
    expected: str


@dataclass(frozen=True)
class Setting:
    """Facts about a setting besides its name, type and default.

    group: its heading in --help; moves_weights: whether another value gives other weights, so that
    a resumed run may not change it; in_recipe: whether the command in a card names it; path: set if
    it holds files or folders of this machine, of which a record keeps only the last part; aliases:
    other names of it on the command line.
    """

    help: str
    group: str
    bounds: Bounds | None = None
    form: Form | None = None
    moves_weights: bool = True
    in_recipe: bool = True
    path: Literal["local", "local or Hub"] | None = None
    aliases: tuple[str, ...] = ()


def setting(default: Any, help_text: str, group: str, **about: Any) -> Any:
    """Return a dataclass field that carries a `Setting`; `about` are the fields of that."""
    metadata = {"setting": Setting(help_text, group, **about)}
    if isinstance(default, list):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def settings_of(config_class: "DataclassInstance | type[DataclassInstance]") -> dict[str, Setting]:
    """Return name -> Setting of a config class, in the order of the groups, then of its fields."""
    settings = {field.name: field.metadata["setting"] for field in dataclasses.fields(config_class)}
    return dict(sorted(settings.items(), key=lambda each: GROUPS.index(each[1].group)))


def default_of(field: "dataclasses.Field[Any]") -> Any:
    """Return the default of a field, a fresh one if it is a list."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def without_folders(config: "DataclassInstance") -> dict[str, Any]:
    """Return the settings as plain values, with local paths reduced to their last part."""
    settings = settings_of(config)
    return {
        name: _without_folder(value, local=settings[name].path == "local")
        if settings[name].path
        else value
        for name, value in dataclasses.asdict(config).items()
    }


def _without_folder(value: object, *, local: bool) -> object:
    """Reduce a path, or each of a list, to its last part; a URL stays, so does a Hub id."""
    if isinstance(value, list):
        return [_without_folder(each, local=local) for each in value]
    if (
        not isinstance(value, str)
        or not value
        or "://" in value
        or not (local or Path(value).expanduser().is_dir())
    ):
        return value
    return Path(value).name


def check_values(config: "DataclassInstance") -> None:
    """Raise ConfigError if a setting alone has a wrong type or a value that cannot work."""
    # Not the fields' own `type`: HfArgumentParser narrows those in place.
    kinds = get_type_hints(type(config))
    defaults = {field.name: default_of(field) for field in dataclasses.fields(config)}
    for name, about in settings_of(config).items():
        value = getattr(config, name)
        _check_type(name, value, kinds[name])
        if value is not None and about.bounds and not about.bounds.allows(value):
            optional = ", or leave it out" if defaults[name] is None else ""
            raise ConfigError(f"--{name} is {value}; expected {about.bounds}{optional}")
        if about.form:
            _check_form(name, value, about.form)


def _check_type(name: str, value: object, kind: object) -> None:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ConfigError(f"--{name} is {value!r}; expected one of {', '.join(get_args(kind))}")
    elif not _fits(value, kind):
        spelled = kind.__name__ if isinstance(kind, type) else kind
        raise ConfigError(f"--{name} is {value!r}; expected {spelled}{_hint(value, kind)}")


def _fits(value: object, kind: object) -> bool:
    """Return whether a value has the type of a field; a whole number is a float as well."""
    if get_origin(kind) is UnionType:
        return any(_fits(value, member) for member in get_args(kind))
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(v, get_args(kind)[0]) for v in value)
    if kind is float:
        return type(value) is int or (type(value) is float and math.isfinite(value))
    return type(value) is kind


def _hint(value: object, kind: object) -> str:
    if get_origin(kind) is list:
        return f", in a recipe [{value}]"
    if kind is float and isinstance(value, str):
        return ", and YAML reads 3e-4 as text: write 3.0e-4"
    return ""


def _check_form(name: str, value: object, form: Form) -> None:
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and not form.pattern.fullmatch(text):
            raise ConfigError(f"--{name} is {text!r}; expected {form.expected}")
