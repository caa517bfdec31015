"""Let a process on Linux meet what Windows lacks and refuses; for child processes of tests.

It is not Windows: it blocks modules that Windows does not have, and lets calls fail that fail
there:

    opening a folder; syncing a file that is not open for writing
    renaming or deleting what this process has open; renaming a folder onto another
    links, which need a privilege or a file system that has them
"""

import builtins
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

BLOCKED = ("fcntl", "grp", "pwd", "resource", "termios")
NOT_ON_WINDOWS = ("fork", "getuid", "geteuid")  # uname: NumPy asks it on Linux
NO_SIGNALS = ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1")
DESCRIPTORS = Path("/proc/self/fd")


def block_for(package: str) -> None:
    """Let the modules of a package, but no others, find none of the blocked modules."""
    import_module = builtins.__import__

    def importing(name, variables=None, *given, **options):
        importer = (variables or {}).get("__name__", "")
        if name.partition(".")[0] in BLOCKED and importer.partition(".")[0] == package:
            raise ModuleNotFoundError(f"{importer} imports {name}")
        return import_module(name, variables, *given, **options)

    builtins.__import__ = importing


def imitate() -> None:
    """Change modules and functions of this process, for good."""
    # Python's own way where a folder cannot be opened; it is chosen when shutil is imported.
    shutil._use_fd_functions = False
    for name in BLOCKED:
        sys.modules[name] = None  # type: ignore[assignment]
    os.rename = _renaming(os.rename, may_replace=False)
    os.replace = _renaming(os.replace, may_replace=True)
    os.unlink = os.remove = _deleting(os.unlink)
    os.open = _opening(os.open)
    os.fsync = _syncing(os.fsync)
    os.symlink = os.link = _no_links
    for module, names in ((os, NOT_ON_WINDOWS), (signal, NO_SIGNALS)):
        for name in names:
            delattr(module, name)


def _open_files() -> set[Path]:
    paths = set()
    for descriptor in DESCRIPTORS.iterdir():
        try:
            paths.add(descriptor.readlink())
        except OSError:  # that of listing this folder
            continue
    return paths


def _refuse(path: object) -> None:
    raise PermissionError(13, "The process cannot access the file: it is in use", str(path))


def _refuse_if_open(path: object) -> None:
    absolute = Path(os.path.realpath(os.fspath(path)))
    if any(each == absolute or absolute in each.parents for each in _open_files()):
        _refuse(path)


def _renaming(rename: Callable, *, may_replace: bool) -> Callable:
    def renaming(source, target, **options):
        _refuse_if_open(source)
        if os.path.lexists(target):
            if not may_replace:
                raise FileExistsError(17, "File exists", str(target))
            if Path(target).is_dir():
                _refuse(target)
            _refuse_if_open(target)
        return rename(source, target, **options)

    return renaming


def _deleting(delete: Callable) -> Callable:
    def deleting(path, **options):
        if "dir_fd" not in options:
            _refuse_if_open(path)
        return delete(path, **options)

    return deleting


def _opening(open_file: Callable) -> Callable:
    def opening(path, *given, **options):
        if Path(path).is_dir():
            _refuse(path)
        return open_file(path, *given, **options)

    return opening


def _syncing(sync: Callable) -> Callable:
    def syncing(descriptor):
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        facts = Path(f"/proc/self/fdinfo/{number}").read_text().split()
        if int(facts[facts.index("flags:") + 1], 8) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(9, "Bad file descriptor")
        return sync(descriptor)

    return syncing


def _no_links(*given, **options):
    raise OSError(22, "A required privilege is not held by the client")
