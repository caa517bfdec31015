"""ModelFile: one file of an encoder, opened; it holds some layers, or the last one with the head.

When LiteRT opens a file, it copies the weights into the order that its kernels want, and does not
read the file again. The files are opened one after another, and the memory of each is released at
once, so that a whole model needs little more memory than its weights once.
"""

import ctypes
import mmap
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

LAYERS, HEAD = "layers_{:03}.tflite", "head.tflite"
STATES = "states"  # the input that the file before has computed


def layer_files(folder: Path) -> list[Path]:
    """Return the files of layers in a folder, from the lowest layers to the highest."""
    return sorted(folder.glob("layers_*.tflite"))


class ModelFile:
    """Runs one model file on inputs of any length."""

    def __init__(self, file: Path, num_threads: int):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(file), num_threads=num_threads)
        self._interpreter.allocate_tensors()
        _release_memory(file)
        self._inputs: dict[str, int] = {
            details["name"]: details["index"] for details in self._interpreter.get_input_details()
        }
        self._output: int = self._interpreter.get_output_details()[0]["index"]
        self._shapes: list[tuple[int, ...]] = []

    def __call__(self, states: np.ndarray, tables: Mapping[str, np.ndarray]) -> np.ndarray:
        """Run the file.

        Args:
            states: (N, W) float32.
            tables: the file's other inputs by name; there may be more.
        """
        inputs = [states if name == STATES else tables[name] for name in self._inputs]
        shapes = [values.shape for values in inputs]
        if shapes != self._shapes:
            for index, shape in zip(self._inputs.values(), shapes, strict=True):
                self._interpreter.resize_tensor_input(index, shape)
            self._interpreter.allocate_tensors()
            self._shapes = shapes
        for index, values in zip(self._inputs.values(), inputs, strict=True):
            self._interpreter.set_tensor(index, values)
        self._interpreter.invoke()
        output: np.ndarray = self._interpreter.get_tensor(self._output)
        return output


def _release_memory(file: Path) -> None:
    """Take the pages of a mapped file out of this process's memory; a later read fetches them."""
    try:
        mappings = Path("/proc/self/maps").read_bytes().split(b"\n")
        madvise = ctypes.CDLL(None).madvise
        dont_need = mmap.MADV_DONTNEED
    except (OSError, AttributeError):  # not Linux
        return
    madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    name = os.fsencode(file.resolve())
    for mapping in mappings:
        match mapping.split(maxsplit=5):
            case [addresses, mode, _, _, _, path] if path == name and b"w" not in mode:
                start, end = (int(address, 16) for address in addresses.split(b"-"))
                madvise(start, end - start, dont_need)
