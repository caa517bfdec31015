"""The plan of a Space, as a dry run shows it: what matters as text, all of it as JSON."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlm.hub.space.files import SpaceModel
from mlm.hub.space.settings import ACCOUNTS, SpaceSettings
from mlm.terminal.tables import format_table

BYTES_PER_MB = 1_000_000


@dataclass(frozen=True)
class SpacePlan:
    """Settings and files that a deployment would send.

    files: path in the Space -> path here.
    """

    name: str
    models: Sequence[SpaceModel]
    settings: SpaceSettings
    files: Mapping[str, Path]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(path.stat().st_size for path in self.files.values())


def plan_text(plan: SpacePlan) -> str:
    """Return the settings and the files in few lines, without hashes."""
    settings = plan.settings
    rows = [
        ["Space", plan.name],
        ["model", ", ".join(model.name for model in plan.models)],
        ["hardware", settings.hardware or "what the Space has; a new one gets cpu-basic, free"],
        ["visibility", _visibility(settings)],
        ["account", ACCOUNTS],
        *(["variable", f"{name}={value}"] for name, value in settings.variables.items()),
        *(["secret", name] for name in settings.secrets),
        ["sign-in", "visitors can sign in for models of their own" if settings.sign_in else "no"],
        ["files", f"{len(plan.files)}, {plan.size / BYTES_PER_MB:.1f} MB: {_folders(plan.files)}"],
    ]
    table = format_table(["", ""], rows, numbers=False)
    end = "nothing was sent: leave --dry_run out to send it; --json lists each file"
    return f"{table}\n\n{end}"


def _visibility(settings: SpaceSettings) -> str:
    if settings.private:
        return "private: a new Space only its owner sees; an existing public one is refused"
    return "public, if it is new: anybody can open the page; --private for one that only you see"


def _folders(files: Mapping[str, Path]) -> str:
    """Return the files at the top by name, and how many there are in each folder."""
    top = [name for name in files if "/" not in name]
    folders = sorted({name.split("/")[0] for name in files if "/" in name})
    counts = {folder: sum(name.startswith(f"{folder}/") for name in files) for folder in folders}
    return ", ".join([*top, *(f"{folder}/ ({counts[folder]})" for folder in folders)])


def plan_json(plan: SpacePlan) -> str:
    """Return all settings but the values of secrets, each file with its hash, and the README."""
    settings = plan.settings
    content = {
        "space": plan.name,
        "models": [model.name for model in plan.models],
        "hardware": settings.hardware,
        "private": settings.private,
        "account": ACCOUNTS,
        "variables": dict(settings.variables),
        "secrets": sorted(settings.secrets),
        "sign_in": settings.sign_in,
        "size": plan.size,
        "files": [
            {
                "path": name,
                "size": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for name, path in plan.files.items()
        ],
        "readme": plan.files["README.md"].read_text(encoding="utf-8"),
    }
    return json.dumps(content, indent=2, ensure_ascii=False)
