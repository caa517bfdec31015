"""One file of an encoder, opened: some layers, or the last one with the head.

LiteRT copies the weights of a file into the order that its kernels want when it opens it, and reads
the file no more. Files are opened one after another, and each one's memory is let go at once, so
that a whole model needs little more than its weights once.
"""

import ctypes
import mmap
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

LAYERS, HEAD = "layers_{:03}.tflite", "head.tflite"
STATES = "states"  # the input that follows from what ran before


def layer_files(folder: Path) -> list[Path]:
    """Those of a folder, from the lowest layers to the highest."""
    return sorted(folder.glob("layers_*.tflite"))


class Part:
    """Runs one model file at the sizes that it is given."""

    def __init__(self, file: Path, num_threads: int):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(file), num_threads=num_threads)
        self._interpreter.allocate_tensors()
        _let_go_of(file)
        self._places = {
            about["name"]: about["index"] for about in self._interpreter.get_input_details()
        }
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._shapes: list[tuple[int, ...]] = []

    def __call__(self, states: np.ndarray, tables: Mapping[str, np.ndarray]) -> np.ndarray:
        """states: (N, W) float32; tables: at least those that the file names."""
        given = [states if name == STATES else tables[name] for name in self._places]
        shapes = [values.shape for values in given]
        if shapes != self._shapes:
            for place, shape in zip(self._places.values(), shapes, strict=True):
                self._interpreter.resize_tensor_input(place, shape)
            self._interpreter.allocate_tensors()
            self._shapes = shapes
        for place, values in zip(self._places.values(), given, strict=True):
            self._interpreter.set_tensor(place, values)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)


def _let_go_of(file: Path) -> None:
    """Take the pages of a file out of this process's memory; it reads them again if it has to."""
    try:
        places = Path("/proc/self/maps").read_bytes().split(b"\n")
        madvise = ctypes.CDLL(None).madvise
        dont_need = mmap.MADV_DONTNEED
    except (OSError, AttributeError):  # no Linux
        return
    madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    name = os.fsencode(file.resolve())
    for place in places:
        match place.split(maxsplit=5):
            case [addresses, mode, _, _, _, path] if path == name and b"w" not in mode:
                start, end = (int(address, 16) for address in addresses.split(b"-"))
                madvise(start, end - start, dont_need)
