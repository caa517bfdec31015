"""The source files that a module of the project needs, found by following its imports.

Imports inside functions count; those below `if TYPE_CHECKING:` do not. Nothing is imported.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE_ROOT = Path(__file__).parents[2]  # the folder that holds the package
PACKAGE = "mlm"


def source_files(entry: str, root: Path = PACKAGE_ROOT) -> dict[str, set[str]]:
    """Return the project's files that a module reaches -> the other libraries each imports.

    Args:
        entry: a module, as "mlm.playground.serve" or "scripts.train".
        root: the folder that holds the entry's package and mlm; the paths are relative to it.

    Raises:
        OSError: a file cannot be read.
    """
    own_packages = {PACKAGE, entry.partition(".")[0]}
    found: dict[str, set[str]] = {}
    waiting = list(_files_of_module(entry, root))
    while waiting:
        path = waiting.pop()
        if path not in found:
            imported = set(_imported_modules(ast.parse((root / path).read_text(encoding="utf-8"))))
            own = {module for module in imported if module.partition(".")[0] in own_packages}
            found[path] = {module.partition(".")[0] for module in imported - own}
            waiting += [file for module in own for file in _files_of_module(module, root)]
    return found


def _imported_modules(node: ast.AST) -> Iterator[str]:
    """Yield the modules that code imports; `from a import b` gives a and a.b, a possible module."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.Import():
            yield from (alias.name for alias in node.names)
        case ast.ImportFrom():
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _imported_modules(child)


def _files_of_module(module: str, root: Path) -> Iterator[str]:
    """Yield the files that are read when a module is imported: its packages' and its own."""
    parts = module.split(".")
    for number in range(1, len(parts) + 1):
        place = "/".join(parts[:number])
        for path in (f"{place}.py", f"{place}/__init__.py"):
            if (root / path).is_file():
                yield path
