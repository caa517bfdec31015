"""The shape of the project: who imports whom, which room knows which library, what is public.

The levels are those of the design: a module imports from its own level or from below, and rooms of
one level do not import each other in a circle. A package is one room, whatever files it has.
"""

import ast
import io
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlm

ROOT = Path(mlm.__file__).parents[1]
LEVELS = (
    {"errors", "strict_json"},
    {
        "attention",
        "checkpoint_files",
        "choosing",
        "config",
        "config_bounds",
        "config_overrides",
        "config_rules",
        "data_order",
        "distances",
        "elementwise",
        "encoder",
        "encoder_config",
        "layers",
        "masking",
        "primitives",
        "processes",
        "ranking",
        "safetensors_header",
        "space_files",
        "space_settings",
        "text_column",
    },
    {
        "config_json",
        "dynamic_padding",
        "families",
        "length_groups",
        "text_files",
        "text_formats",
        "tokenizer",
        "tokenizer_files",
        "wordpiece",
    },
    {
        "added_words",
        "checkpoint",
        "corpus",
        "document_encoding",
        "engine",
        "filling",
        "held_out",
        "predictor",
        "sharded_tokens",
        "texts",
        "token_store",
        "vocabulary",
        "weights",
    },
    {
        "batches",
        "chunking",
        "devices",
        "evaluation",
        "event_log",
        "feeding",
        "guarded_update",
        "hub",
        "litert",
        "joint_filling",
        "masked_example",
        "masked_text",
        "optimizer",
        "scoring",
        "state_pusher",
        "state_writer",
        "training_dataset",
        "training_state",
        "training_step",
        "whole_words",
    },
    {
        "batch_filling",
        "card_examples",
        "comparison",
        "dry_run",
        "engine_choice",
        "fill_mask",
        "model_card",
        "preparation",
        "reference",
        "starting_point",
        "trainer",
        "training_record",
        "training_run",
        "watching",
    },
    {"playground"},
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
MAY_IMPORT = {  # library -> the only places that may
    "tensorflow": (
        "mlm/devices.py",
        "mlm/elementwise/tensorflow.py",
        "mlm/feeding.py",
        "mlm/training_step/tensorflow",
    ),
    "jax": ("mlm/devices.py", "mlm/processes.py", "mlm/training_step/jax.py"),
    "gradio": ("mlm/playground/", "app.py"),
    "huggingface_hub": ("mlm/hub/", "scripts/benchmarks/"),
    "ai_edge_litert": ("mlm/litert/",),
    "torch": ("scripts/benchmarks/",),
    "pickle": (),
}
HEAVY = {
    "tensorflow",
    "keras",
    "jax",
    "torch",
    "transformers",
    "huggingface_hub",
    "gradio",
    "pandas",
    "pyarrow",
    "numpy",
    "ai_edge_litert",
}
PUBLIC = {
    "TrainingConfig",
    "train",
    "evaluate",
    "FillMask",
    "load_checkpoint",
    "save_checkpoint",
}
LONG_SCRIPTS = {"demo.py", "make_demo_corpus.py"}  # a story and a grammar; benchmarks/ are free too
LONGEST_SCRIPT = 60  # lines of code


def library_files() -> list[Path]:
    return sorted((ROOT / "mlm").rglob("*.py"))


def all_files() -> list[Path]:
    return [*library_files(), *sorted((ROOT / "scripts").rglob("*.py")), ROOT / "app.py"]


def imported_names(path: Path) -> Iterator[str]:
    """Every `a.b.c` that a file imports, at its top or inside functions.

    `from a import b` gives a and a.b, because b may be a module.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports with their full name"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "mlm").parts[0].removesuffix(".py")


def rooms() -> set[str]:
    return {room_of(path) for path in library_files()} - {"__init__"}


def imported_rooms(room: str) -> set[str]:
    """The other rooms of mlm that the files of this one import."""
    own = [path for path in library_files() if room_of(path) == room]
    names = [name.split(".") for path in own for name in imported_names(path)]
    return {name[1] for name in names if name[0] == "mlm" and len(name) > 1} & rooms() - {room}


def test_every_room_has_its_level():
    assert rooms() - {"local_hub"} == set(LEVEL_OF)


def test_imports_run_downward():
    upward = {
        (room, other)
        for room in LEVEL_OF
        for other in imported_rooms(room)
        if LEVEL_OF.get(other, len(LEVELS)) > LEVEL_OF[room]
    }
    assert upward == set()


def test_no_circle_of_imports():
    left = {room: imported_rooms(room) for room in rooms()}
    while free := [room for room, needs in left.items() if not needs & set(left)]:
        for room in free:
            del left[room]
    assert left == {}


def test_the_local_hub_stands_alone():
    assert imported_rooms("local_hub") <= {"errors"}
    assert [room for room in LEVEL_OF if "local_hub" in imported_rooms(room)] == []


def test_the_library_knows_neither_scripts_nor_app():
    tops = {(p.name, n.split(".")[0]) for p in library_files() for n in imported_names(p)}
    assert [(file, top) for file, top in tops if top in {"scripts", "app", "tests"}] == []


@pytest.mark.parametrize("library", MAY_IMPORT)
def test_a_library_stays_in_its_room(library):
    users = {
        path.relative_to(ROOT).as_posix()
        for path in all_files()
        if any(name.split(".")[0] == library for name in imported_names(path))
    }
    assert {user for user in users if not user.startswith(MAY_IMPORT[library])} == set()


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after the statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_import_mlm_loads_nothing_heavy():
    assert loaded_by("import mlm") & HEAVY == set()


def test_settings_can_be_made_without_a_heavy_library():
    assert loaded_by("from mlm import TrainingConfig; TrainingConfig()") & HEAVY == set()


def test_the_public_names_are_these_and_all_of_them_exist():
    assert set(mlm.__all__) == set(dir(mlm)) == PUBLIC
    assert [name for name in PUBLIC if not callable(getattr(mlm, name))] == []
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        mlm.fit  # noqa: B018


def code_lines(path: Path) -> int:
    """Lines that hold code: no blank lines, comments or docstrings."""
    source = path.read_text(encoding="utf-8")
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in nothing | {tokenize.ENDMARKER}:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(
            node
        ):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_scripts_are_short():
    scripts = (ROOT / "scripts").glob("*.py")
    lengths = {path.name: code_lines(path) for path in scripts if path.name not in LONG_SCRIPTS}
    assert {name: length for name, length in lengths.items() if length > LONGEST_SCRIPT} == {}
    assert "train.py" in lengths


def test_code_lines_leaves_out_what_is_no_code(tmp_path):
    path = tmp_path / "sample.py"
    path.write_text(
        '"""Doc.\n\nMore.\n"""\n\n# why\nx = (\n    1,\n)\n\n\ndef f():\n    """Doc."""\n'
    )
    assert code_lines(path) == 4


def test_no_module_is_a_drawer_for_anything():
    drawers = ("util", "helper", "manager", "common", "misc")
    names = [path.stem for path in all_files()] + [path.parent.name for path in all_files()]
    assert [name for name in names if any(drawer in name for drawer in drawers)] == []


def test_every_file_says_what_it_is_for():
    silent = [p for p in all_files() if not ast.get_docstring(ast.parse(p.read_text("utf-8")))]
    assert silent == []
