"""The settings of a Space besides its files: variables, which anybody can read, secrets, hardware.

A secret's value comes from the environment of whoever deploys, never from a command line.

Hardware for the page, as of November 2026:

any          Creating a Gradio Space requires PRO, or for an organization a Team or Enterprise plan;
             the Hub answers a free account with 402 (github.com/huggingface/hub-docs/pull/2624,
             github.com/huggingface/agents-course/issues/733).
cpu-basic    2 cores, 16 GB, free (huggingface.co/docs/hub/spaces-gpus); sleeps after 48 hours
             without a visitor (huggingface_hub, HfApi.request_space_hardware).
cpu-upgrade  8 cores, 32 GB, 0.03 dollars an hour (huggingface.co/docs/hub/spaces-gpus).
ZeroGPU      open to free accounts too, but it starts only a Space that has a function for its GPUs
             ("No @spaces.GPU function detected", the same issue), and those are for PyTorch.
other GPUs   the page's TensorFlow is the one for CPUs, so they would be idle.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlm.checkpoint.file_limits import SIZE_SETTING
from mlm.errors import ConfigError
from mlm.hub.connection import TOKEN_LIKE

HARDWARE = ("cpu-basic", "cpu-upgrade")
ACCOUNTS = "PRO to create it, or for an organization Team or Enterprise; any plan to update it"
MODEL, OWNERS = "MLM_MODEL", "MLM_ALLOW_OWNERS"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class SpaceSettings:
    """Variables and secrets by name, the hardware, and the visibility of a new Space.

    hardware: None keeps what the Space has.
    """

    variables: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    hardware: str | None = None
    private: bool = False

    @property
    def sign_in(self) -> bool:
        """True if visitors may choose models, and so may want to sign in for their own."""
        return bool(self.variables.get(OWNERS))


def space_variables(models: Sequence[str], given: Iterable[str]) -> dict[str, str]:
    """Return the environment variables of the page by name.

    Args:
        models: as MLM_MODEL names them.
        given: more variables, NAME=VALUE each.

    Raises:
        ConfigError: not of this form, not a valid name, MLM_MODEL, or a value like a token.
    """
    variables = {MODEL: ",".join(models)}
    if os.environ.get(SIZE_SETTING):  # the page must accept what was accepted here
        variables[SIZE_SETTING] = os.environ[SIZE_SETTING]
    for each in given:
        name, equals, value = each.partition("=")
        if TOKEN_LIKE.search(value):
            raise ConfigError(
                f"the variable {name} holds what looks like a token, and anybody can read "
                f"variables: set it in your environment and say --secret {name}"
            )
        if not equals:
            raise ConfigError(f"--variable {each!r} has no value; expected NAME=VALUE")
        if name == MODEL:
            raise ConfigError(f"{MODEL} is what --model says: leave --variable {MODEL} out")
        variables[_checked_name(name)] = value
    return variables


def space_secrets(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets by name, each with the value of SPACE_<name> here, or else of <name>.

    Raises:
        ConfigError: not a valid name, or a name without a value here.
    """
    secrets = {}
    for name in names:
        value = environment.get(f"SPACE_{_checked_name(name)}") or environment.get(name)
        if not value:
            raise ConfigError(
                f"the secret {name} has no value here: set SPACE_{name} or {name} in your "
                "environment"
            )
        secrets[name] = value
    return secrets


def checked_hardware(hardware: str | None) -> str | None:
    """Return the hardware if the page can run on it. Raises ConfigError."""
    if hardware is not None and hardware not in HARDWARE:
        raise ConfigError(
            f"{hardware[:40]!r} does not run this page, which needs only CPUs: expected "
            f"{' or '.join(HARDWARE)}"
        )
    return hardware


def check_apart(settings: SpaceSettings) -> None:
    """Raise ConfigError if a name is both a variable's and a secret's."""
    both = sorted(settings.variables.keys() & settings.secrets.keys())
    if both:
        raise ConfigError(f"{both[0]} is both a variable and a secret: leave one of them out")


def _checked_name(name: str) -> str:
    """Return the name if an environment variable can have it. Raises ConfigError.

    The message repeats nothing after "=": that may be a secret's value.
    """
    if not NAME.fullmatch(name):
        before_value = name.partition("=")[0]
        raise ConfigError(
            f"{before_value[:40]!r} is not a variable's name; expected only letters, digits "
            "and _ (a secret's value is taken from your environment)"
        )
    return name
