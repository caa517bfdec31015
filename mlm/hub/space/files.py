"""What a Space of the page is made of: its code, its requirements, its README.

Nothing goes because it lies in the working folder. The code is what app.py reaches by its imports,
at the top of a file or inside a function; the little besides is named here. No network:
mlm/hub/space.py sends what is laid out here.
"""

import ast
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlm.checkpoint.file_limits import CHECKPOINT_FILES, matches

ROOT = Path(__file__).parents[3]
APP = "app.py"
REQUIREMENTS = "requirements-space.txt"  # which the Space has as its requirements.txt
BESIDES = ("LICENSE", "mlm/playground/static/*")
DEMO, DEMO_FOLDER = "demo", "mlm/bundled/imdb_modernbert"

PYTHON_VERSION = "3.12"  # make test-space starts the page on it
TITLE = "Which word is missing?"
SHORT_DESCRIPTION = "Hide a word of a sentence; a language model fills it in"
LONGEST_DESCRIPTION = 60  # characters; the Hub's own limit


@dataclass(frozen=True)
class SpaceModel:
    """A checkpoint that a Space answers with: on the Hub at a commit, or the bundled one.

    files: what the Space fetches while it is built; none where only its start can, with a token.
    """

    repo_id: str
    commit: str | None = None
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As MLM_MODEL has it."""
        return f"{self.repo_id}@{self.commit}" if self.commit else self.repo_id

    @property
    def preload(self) -> str | None:
        """As the README's preload_from_hub has it: id, files, commit."""
        return f"{self.repo_id} {','.join(self.files)} {self.commit}" if self.files else None


def lay_out(
    folder: Path, models: Sequence[SpaceModel], hardware: str, *, sign_in: bool = False
) -> dict[str, Path]:
    """Put the files of a Space into an empty folder, as the Space is to have them.

    sign_in: let visitors sign in, who may choose models then that they alone can read.

    Returns:
        path in the Space -> path here, sorted.
    """
    files = {}
    for name in copied_files(with_demo=any(model.repo_id == DEMO for model in models)):
        files[name] = folder / name
        files[name].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, files[name])
    made = {
        "README.md": readme(models, hardware, sign_in=sign_in),
        "requirements.txt": (ROOT / REQUIREMENTS).read_text(encoding="utf-8"),
    }
    for name, text in made.items():
        files[name] = folder / name
        files[name].write_text(text, encoding="utf-8")
    return dict(sorted(files.items()))


def listing(files: Mapping[str, Path]) -> str:
    """Of each file sha256, bytes and path in a line, then their sum, then the README."""
    contents = {name: path.read_bytes() for name, path in files.items()}
    lines = [
        f"{hashlib.sha256(content).hexdigest()}  {len(content):>11,}  {name}"
        for name, content in contents.items()
    ]
    total = f"{len(files)} files, {sum(map(len, contents.values())):,} bytes"
    return "\n".join([*lines, total, "", contents["README.md"].decode()])


def copied_files(*, with_demo: bool) -> list[str]:
    """Paths of the files that go as they are, relative to the project."""
    found = {path.relative_to(ROOT) for pattern in BESIDES for path in ROOT.glob(pattern)}
    if with_demo:
        demo = (ROOT / DEMO_FOLDER).iterdir()
        found |= {path.relative_to(ROOT) for path in demo if matches(path.name, CHECKPOINT_FILES)}
    return sorted({path.as_posix() for path in found} | code_files().keys())


# the code


def code_files(entry: str = APP) -> dict[str, set[str]]:
    """A script and all that it reaches by imports -> the other libraries that each file imports."""
    found: dict[str, set[str]] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name not in found:
            imported = set(_imported(ast.parse((ROOT / name).read_text(encoding="utf-8"))))
            found[name] = {module.split(".")[0] for module in imported} - {"mlm"}
            waiting += [path for module in imported for path in _files_of(module)]
    return found


def _imported(node: ast.AST) -> Iterator[str]:
    """The modules that code imports; `from a import b` gives a and a.b, for b may be a module."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return  # nothing of it is ever run
        case ast.Import():
            yield from (alias.name for alias in node.names)
        case ast.ImportFrom():
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _imported(child)


def _files_of(module: str) -> Iterator[str]:
    """The files of ours that are read when a module is imported: its packages' and its own."""
    parts = module.split(".")
    for number in range(1, len(parts) + 1):
        place = "/".join(parts[:number])
        for name in (f"{place}.py", f"{place}/__init__.py"):
            if parts[0] == "mlm" and (ROOT / name).is_file():
                yield name


# requirements and README


def pinned_versions() -> dict[str, str]:
    """Library, without its extras -> the version that the Space installs."""
    lines = (ROOT / REQUIREMENTS).read_text(encoding="utf-8").splitlines()
    pins = (line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))
    return {name.partition("[")[0]: version for name, version in pins}


def front_matter(
    models: Sequence[SpaceModel], hardware: str, *, sign_in: bool = False
) -> dict[str, Any]:
    """What the Hub is to know of the Space; huggingface.co/docs/hub/spaces-config-reference."""
    on_hub = [model.repo_id for model in models if model.commit]
    preload = [model.preload for model in models if model.preload]
    return {
        "title": TITLE,
        "emoji": "🎬",
        "colorFrom": "green",
        "colorTo": "gray",
        "sdk": "gradio",
        "sdk_version": pinned_versions()["gradio"],
        "python_version": PYTHON_VERSION,
        "app_file": APP,
        "short_description": SHORT_DESCRIPTION,
        "suggested_hardware": hardware,
        "license": "apache-2.0",
        "tags": ["fill-mask"],
        **({"hf_oauth": True, "hf_oauth_scopes": ["read-repos"]} if sign_in else {}),
        **({"models": on_hub} if on_hub else {}),
        **({"preload_from_hub": preload} if preload else {}),
    }


def readme(models: Sequence[SpaceModel], hardware: str, *, sign_in: bool = False) -> str:
    """The README of the Space: its front matter, and a few words for who looks at its files."""
    about = front_matter(models, hardware, sign_in=sign_in)
    matter = yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=10_000)
    answering = "\n".join(f"- {_told(model)}" for model in models)
    return (
        f"---\n{matter}---\n\n# {TITLE}\n\n"
        "Type a sentence, hide a word of it, and see what a masked language model would put there "
        f"and how sure it is.\n\nIt answers with:\n\n{answering}\n\n"
        "Programs can ask it too: *Use via API* at the foot of the page.\n"
    )


def _told(model: SpaceModel) -> str:
    if model.commit is None:
        return "a small ModernBERT, trained on film reviews, that is among these files"
    return f"[{model.repo_id}](https://huggingface.co/{model.repo_id}) at commit `{model.commit}`"
