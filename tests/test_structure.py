"""The shape of the project: who imports whom, which room knows which library, what is public.

A package imports only from floors below its own; rooms of one floor do not import each other. The
files inside a room may import each other, but not in a circle.
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
FLOORS = (
    {"errors"},
    {"backend", "model"},
    {"checkpoint"},
    {"data", "hub"},
    {"inference"},
    {"evaluation", "playground"},
    {"training"},
    {"commands"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
MAY_IMPORT = {  # library -> the only places that may
    "tensorflow": ("mlm/backend/", "mlm/model/fused/tensorflow.py", "mlm/training/step/tensorflow"),
    "jax": ("mlm/backend/", "mlm/training/step/jax.py"),
    "gradio": ("mlm/playground/", "app.py"),
    "huggingface_hub": ("mlm/hub/", "scripts/benchmarks/"),
    "ai_edge_litert": ("mlm/inference/engines/litert/",),
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


def imported_names(path: Path, *, for_types: bool = True) -> Iterator[str]:
    """Yield every `a.b.c` that a file imports, at its top or inside functions.

    `from a import b` gives a and a.b, because b may be a module. for_types: also imports under
    `if TYPE_CHECKING`.
    """
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        match node := waiting.pop():
            case ast.If(test=ast.Name(id="TYPE_CHECKING")) if not for_types:
                pass
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                assert node.level == 0, f"{path}:{node.lineno}: write imports with their full name"
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            case _:
                waiting += ast.iter_child_nodes(node)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "mlm").parts[0].removesuffix(".py")


def rooms() -> set[str]:
    return {room_of(path) for path in library_files()} - {"__init__", "__main__"}


def imports_between_rooms() -> Iterator[tuple[str, str]]:
    """(file, module of another room) for every import of ours that leaves its room."""
    for path in library_files():
        for name in imported_names(path):
            parts = name.split(".")
            if parts[0] == "mlm" and len(parts) > 1 and parts[1] in rooms() - {room_of(path)}:
                yield path.relative_to(ROOT).as_posix(), name


def test_the_house_has_nine_rooms_the_errors_and_the_commands():
    assert rooms() == set(FLOOR_OF)


def test_imports_run_downward():
    upward = {
        (file, name)
        for file, name in imports_between_rooms()
        if FLOOR_OF[name.split(".")[1]] >= FLOOR_OF.get(room_of(ROOT / file), len(FLOORS))
    }
    assert upward == set()


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_no_circle_of_imports():
    modules = {module_name(path): path for path in library_files()}
    left = {
        name: {each for each in imported_names(path, for_types=False) if each in modules}
        for name, path in modules.items()
        if path.stem != "__init__"
    }
    while free := [name for name, needs in left.items() if not needs & (left.keys() - {name})]:
        for name in free:
            del left[name]
    assert left == {}


def test_the_local_hub_stands_alone():
    local = [path for path in library_files() if "mlm/hub/local/" in path.as_posix()]
    imported = {name for path in local for name in imported_names(path) if name.startswith("mlm.")}
    assert {n for n in imported if not n.startswith(("mlm.hub.local", "mlm.errors"))} == set()
    others = [path for path in library_files() if path not in local]
    users = [p for p in others if any(n.startswith("mlm.hub.local") for n in imported_names(p))]
    assert users == []


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
