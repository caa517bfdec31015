"""The shape of the project: who imports whom, which room knows which library, what is public.

A package imports only from floors below its own; rooms of one floor do not import each other. The
files inside a room may import each other, but not in a circle.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import mlm

ROOT = Path(mlm.__file__).parents[1]
FLOORS = (
    {"errors"},
    {"backend", "model", "terminal"},
    {"checkpoint"},
    {"data", "hub"},
    {"inference"},
    {"evaluation", "playground"},
    {"training"},
    {"finetuning"},
    {"commands"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
MAY_IMPORT = {  # library -> the only places that may
    "tensorflow": ("mlm/backend/", "mlm/model/fused/tensorflow.py", "mlm/training/step/tensorflow"),
    "jax": ("mlm/backend/", "mlm/training/step/jax.py"),
    "gradio": ("mlm/playground/", "app.py"),
    "rich": ("mlm/terminal/", "scripts/record_terminal.py"),
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
    "FinetuningConfig",
    "finetune",
    "Classifier",
    "load_checkpoint",
    "save_checkpoint",
}
LONG_SCRIPTS = {  # a story, a grammar, a table of guides; benchmarks/ are free too
    "demo.py",
    "make_demo_corpus.py",
    "list_messages.py",
}
LONGEST_SCRIPT = 60  # lines of code


@cache
def library_files() -> list[Path]:
    return sorted((ROOT / "mlm").rglob("*.py"))


def all_files() -> list[Path]:
    return [*library_files(), *sorted((ROOT / "scripts").rglob("*.py")), ROOT / "app.py"]


@cache
def syntax_tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported_names(path: Path, *, for_types: bool = True) -> tuple[str, ...]:
    """Return every `a.b.c` that a file imports, at its top or inside functions.

    `from a import b` gives a and a.b, because b may be a module. for_types: also imports under
    `if TYPE_CHECKING`.
    """
    return tuple(_imported_names(path, for_types))


def _imported_names(path: Path, for_types: bool) -> Iterator[str]:
    waiting: list[ast.AST] = [syntax_tree(path)]
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


@cache
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
    allowed = ("mlm.hub.local", "mlm.errors", "mlm.backend.atomic_files")
    assert {name for name in imported if not name.startswith(allowed)} == set()
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
    for node in ast.walk(syntax_tree(path)):
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
    silent = [path for path in all_files() if not ast.get_docstring(syntax_tree(path))]
    assert silent == []


# Which tests cover which module


COVERED_ELSEWHERE = "Covered elsewhere:"
COVERED_LINE = re.compile(r"(?P<names>[\w/]+(, [\w/]+)*) by (?P<tests>[\w/]+(, [\w/]+)*)")


@cache
def modules() -> list[Path]:
    return [path for path in library_files() if path.stem != "__init__"]


def folder_of_tests(module: Path) -> Path:
    """Return the folder of a module's tests: that of its room, or tests/ for rooms without one."""
    folder = ROOT / "tests" / room_of(module)
    return folder if folder.is_dir() else ROOT / "tests"


def name_in_room(module: Path) -> str:
    """Return the module's path below its room, without the suffix: state/writer."""
    parts = module.relative_to(ROOT / "mlm").with_suffix("").parts
    return "/".join(parts if folder_of_tests(module) == ROOT / "tests" else parts[1:])


def has_own_test_file(module: Path) -> bool:
    """Return whether test_writer.py or test_state_writer.py is there for state/writer."""
    words = name_in_room(module).split("/")
    names = ["_".join(words[start:]) for start in range(len(words))]
    return any((folder_of_tests(module) / f"test_{name}.py").is_file() for name in names)


@cache
def covered_elsewhere(folder: Path) -> dict[str, list[Path]]:
    """Return {module or package: the test files that cover it} as the folder's docstring has it.

    Each line below "Covered elsewhere:" has the form "module, module by test_file, room/test_file".
    """
    docstring = ast.get_docstring(syntax_tree(folder / "__init__.py")) or ""
    covered: dict[str, list[Path]] = {}
    for line in docstring.partition(COVERED_ELSEWHERE)[2].split("\n"):
        if not line.strip():
            continue
        match = COVERED_LINE.fullmatch(line.strip())
        assert match, f"{folder}/__init__.py: {line!r} is not of the form 'module by test_file'"
        tests = match["tests"].split(", ")
        files = [(ROOT / "tests" if "/" in name else folder) / f"{name}.py" for name in tests]
        covered |= dict.fromkeys(match["names"].split(", "), files)
    return covered


def names_module(name: str, module: Path) -> bool:
    """Return whether a name in a docstring is that of the module or of a package around it."""
    return f"{name_in_room(module)}/".startswith(f"{name}/")


def missing_line(module: Path) -> str:
    """Return the line for a module that nothing covers yet, with test files that import it."""
    folder = folder_of_tests(module)
    tests = [
        path.stem if path.parent == folder else f"{path.parent.name}/{path.stem}"
        for path in sorted((ROOT / "tests").glob("*/test_*.py"))
        if module_name(module) in imported_names(path)
    ]
    nearest = sorted(tests, key=lambda name: "/" in name)[:2]
    return f"    {name_in_room(module)} by {', '.join(nearest) or 'test_...'}"


def test_each_module_has_a_test_file_or_a_line_that_names_one():
    missing: dict[Path, list[str]] = {}
    for module in modules():
        folder = folder_of_tests(module)
        named = any(names_module(name, module) for name in covered_elsewhere(folder))
        if not named and not has_own_test_file(module):
            missing.setdefault(folder, []).append(missing_line(module))
    if missing:
        to_add = [
            "\n".join([f"\nadd to {folder}/__init__.py:\n", COVERED_ELSEWHERE, *lines])
            for folder, lines in missing.items()
        ]
        pytest.fail("\n".join(to_add), pytrace=False)


def test_each_line_of_covered_modules_is_needed_and_names_tests_that_exist():
    wrong = []
    for folder in sorted({folder_of_tests(module) for module in modules()}):
        for name, files in covered_elsewhere(folder).items():
            here = [m for m in modules() if folder_of_tests(m) == folder and names_module(name, m)]
            where = f"{folder.relative_to(ROOT)}/__init__.py: {name}"
            if all(map(has_own_test_file, here)):
                wrong.append(f"{where} does not exist or has a test file of its name; remove it")
            wrong += [f"{where}: {file} does not exist" for file in files if not file.is_file()]
    assert wrong == []
