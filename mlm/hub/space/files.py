"""The files of a Space of the page: its code, its requirements, its README.

Only the files that the page's module reaches by its imports are sent, and the few that are named
here; other files in the working folder are not. mlm/hub/space/deploy.py sends them.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import yaml

from mlm.checkpoint.file_limits import CHECKPOINT_FILES, matches
from mlm.hub.pull import BUNDLED_FOLDER, DEMO
from mlm.hub.source_files import PACKAGE, PACKAGE_ROOT, source_files
from mlm.hub.space import TITLE

logger = logging.getLogger(__name__)

PAGE = "mlm.playground.serve"  # the module that a Space starts
STATIC_FILES = "mlm/playground/static/*"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
LICENCE = "LICENSE"
APP_FILE = "app.py"
APP = f'''"""The playground: `python app.py`, or as a Hugging Face Space."""

from {PAGE} import main

raise SystemExit(main())
'''

PYTHON_VERSION = "3.12"  # make test-space starts the page on it
SHORT_DESCRIPTION = "Hide a word of a sentence; a language model fills it in"
LONGEST_DESCRIPTION = 60  # characters; the Hub's own limit


@dataclass(frozen=True)
class SpaceModel:
    """A checkpoint that a Space answers with: on the Hub at a commit, or the bundled one.

    files: those to fetch while the Space is built; none if only its start can, with a token.
    """

    repo_id: str
    commit: str | None = None
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The model as MLM_MODEL names it."""
        return f"{self.repo_id}@{self.commit}" if self.commit else self.repo_id

    @property
    def preload(self) -> str | None:
        """The model as the README's preload_from_hub names it: id, files, commit."""
        return f"{self.repo_id} {','.join(self.files)} {self.commit}" if self.files else None


def lay_out(
    folder: Path, models: Sequence[SpaceModel], hardware: str, *, sign_in: bool = False
) -> dict[str, Path]:
    """Write the files of a Space into an empty folder.

    Args:
        folder: is made if it does not exist.
        models: those that the README names; the bundled one is among the files if it is named.
        hardware: the README's suggested hardware.
        sign_in: let visitors sign in, so that they can choose models that only they can read.

    Returns:
        path in the Space -> path here, sorted.
    """
    sources = copied_files(with_demo=any(model.repo_id == DEMO for model in models))
    texts = {
        APP_FILE: APP,
        "README.md": readme(models, hardware, sign_in=sign_in),
        "requirements.txt": REQUIREMENTS.read_text(encoding="utf-8"),
    }
    files = {name: folder / name for name in sorted([*sources, *texts])}
    for name, path in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in texts:
            path.write_text(texts[name], encoding="utf-8")
        else:
            shutil.copyfile(sources[name], path)
    return files


def copied_files(*, with_demo: bool) -> dict[str, Path]:
    """Return the files that are sent unchanged: path in the Space -> path here."""
    paths = [PACKAGE_ROOT / name for name in source_files(PAGE)]
    paths += PACKAGE_ROOT.glob(STATIC_FILES)
    if with_demo:
        paths += [path for path in BUNDLED_FOLDER.iterdir() if matches(path.name, CHECKPOINT_FILES)]
    files = {path.relative_to(PACKAGE_ROOT).as_posix(): path for path in paths}
    if licence := licence_file():
        files[LICENCE] = licence
    else:
        logger.warning("the Space gets no %s: neither a checkout nor the package has it", LICENCE)
    return files


def licence_file() -> Path | None:
    """Return the project's licence in a checkout, else in the installed package's metadata."""
    in_checkout = PACKAGE_ROOT / LICENCE
    if in_checkout.is_file() and (PACKAGE_ROOT / "pyproject.toml").is_file():
        return in_checkout
    try:
        installed = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())) for file in installed if file.name == LICENCE)
    return next((path for path in paths if path.is_file()), None)


# requirements and README


def pinned_versions() -> dict[str, str]:
    """Return library, without its extras -> the version that the Space installs."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    pins = (line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))
    return {name.partition("[")[0]: version for name, version in pins}


def front_matter(
    models: Sequence[SpaceModel], hardware: str, *, sign_in: bool = False
) -> dict[str, object]:
    """Return the Space's metadata; huggingface.co/docs/hub/spaces-config-reference."""
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
        "app_file": APP_FILE,
        "short_description": SHORT_DESCRIPTION,
        "suggested_hardware": hardware,
        "license": "apache-2.0",
        "tags": ["fill-mask"],
        **({"hf_oauth": True, "hf_oauth_scopes": ["read-repos"]} if sign_in else {}),
        **({"models": on_hub} if on_hub else {}),
        **({"preload_from_hub": preload} if preload else {}),
    }


def readme(models: Sequence[SpaceModel], hardware: str, *, sign_in: bool = False) -> str:
    """Return the README of the Space: its front matter, and a short text for its readers."""
    about = front_matter(models, hardware, sign_in=sign_in)
    matter = yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=10_000)
    answering = "\n".join(f"- {_model_line(model)}" for model in models)
    return (
        f"---\n{matter}---\n\n# {TITLE}\n\n"
        "Type a sentence, hide a word of it, and see what a masked language model would put there "
        f"and how sure it is.\n\nIt answers with:\n\n{answering}\n\n"
        "Programs can ask it too: *Use via API* at the foot of the page.\n"
    )


def _model_line(model: SpaceModel) -> str:
    if model.commit is None:
        return "a small ModernBERT, trained on film reviews, that is among these files"
    return f"[{model.repo_id}](https://huggingface.co/{model.repo_id}) at commit `{model.commit}`"
