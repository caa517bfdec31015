"""Tests of mlm.hub.source_files: a module's own files and the other libraries, by its imports."""

import pytest

from mlm.hub.source_files import PACKAGE_ROOT, source_files
from tests.support.places import ROOT

FILES = {
    "mlm/__init__.py": "",
    "mlm/entry.py": "import json\nfrom mlm.sub import one\nfrom numpy.linalg import norm\n",
    "mlm/sub/__init__.py": "import os.path\n",
    "mlm/sub/one.py": "def load():\n    from mlm.sub.two import name\n    import keras\n",
    "mlm/sub/two.py": "from mlm.entry import one\n",
    "mlm/sub/unused.py": "import torch\n",
    "mlm/typed.py": "if TYPE_CHECKING:\n    import torch\n    from mlm.sub import unused\n",
    "numpy/__init__.py": "import mlm.sub.unused\n",
    "scripts/run.py": "import scripts.tools\nimport mlm.typed\n",
    "scripts/tools.py": "",
}


@pytest.fixture
def root(tmp_path):
    """A folder that holds a package, scripts and, like site-packages, another library."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_imports_are_followed_also_inside_functions_and_in_a_circle(root):
    assert source_files("mlm.entry", root) == {
        "mlm/__init__.py": set(),
        "mlm/entry.py": {"json", "numpy"},
        "mlm/sub/__init__.py": {"os"},
        "mlm/sub/one.py": {"keras"},
        "mlm/sub/two.py": set(),
    }


def test_imports_for_the_type_checker_are_left_out(root):
    assert source_files("mlm.typed", root) == {"mlm/__init__.py": set(), "mlm/typed.py": set()}


def test_a_script_is_an_entry_too(root):
    files = {"scripts/run.py", "scripts/tools.py", "mlm/__init__.py", "mlm/typed.py"}
    assert source_files("scripts.run", root).keys() == files


def test_the_package_is_found_where_it_is_imported_from():
    assert PACKAGE_ROOT == ROOT
