"""Graph: writes a LiteRT model file operator by operator; large weights go to the file at once.

The writer is our own: it needs neither TensorFlow nor a converter, and takes a fraction of their
time (docs/benchmarks.md).

A file is a flatbuffer (operators, shapes, scales, small constants) followed by the large weights,
each at the offset that its buffer names. Source: the schema of TensorFlow Lite, schema.fbs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import ArrayLike

ALIGNMENT = 64  # bytes
LARGEST_INLINE = 16 * 1024  # bytes of a constant inside the flatbuffer
LARGEST_INT8 = 127  # symmetric: -128 is not used
OPEN = -1  # a dimension whose size each call sets
TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int8): schema.TensorType.INT8,
}
VERSIONS = {  # of an operator, if the first version lacks what is used here
    "FULLY_CONNECTED": 12,  # float inputs, int8 weights with a scale for each output
    "BATCH_MATMUL": 4,
}

Shape = tuple[int, ...]


class Tensor(NamedTuple):
    """A tensor of the graph: its number, and its shape with OPEN for sizes that a call sets."""

    number: int
    shape: Shape


class Graph:
    """Operators on tensors, in the order in which they run; a context that closes the file."""

    def __init__(self, path: Path, flatbuffer_bytes: int):
        """Open the file at `path`, with room for `flatbuffer_bytes` before the large weights."""
        self._path = path
        self._end = _align(flatbuffer_bytes)  # of the file so far
        self._room = self._end
        self._subgraph = schema.SubGraphT()
        self._subgraph.name = b"main"
        self._subgraph.tensors, self._subgraph.operators = [], []
        self._subgraph.inputs, self._subgraph.outputs = [], []
        self._buffers = [schema.BufferT()]  # the first is for tensors without values
        self._codes: dict[str, int] = {}
        self._operator_codes: list[schema.OperatorCodeT] = []
        self._file = path.open("wb")

    def __enter__(self) -> "Graph":
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def write(self, outputs: Sequence[Tensor]) -> None:
        """Write the flatbuffer of a graph with these outputs, which completes the file."""
        self._subgraph.outputs = [tensor.number for tensor in outputs]
        model = schema.ModelT()
        model.version, model.description = 3, b""
        model.subgraphs, model.buffers = [self._subgraph], self._buffers
        model.operatorCodes = self._operator_codes
        builder = flatbuffers.Builder(self._room)
        builder.Finish(model.Pack(builder), b"TFL3")
        packed = builder.Output()
        assert len(packed) <= self._room, (len(packed), self._room)
        self._file.seek(0)
        self._file.write(packed)
        self._file.truncate(self._end)

    def input(self, name: str, shape: Shape) -> Tensor:
        """Add a float32 input of the graph."""
        tensor = self._add_tensor(shape, np.dtype(np.float32), name=name)
        self._subgraph.inputs.append(tensor.number)
        return tensor

    def constant(self, values: ArrayLike, dtype: type[np.generic] = np.float32) -> Tensor:
        """Add a tensor with these values."""
        array = np.ascontiguousarray(values, dtype)
        return self._add_tensor(array.shape, array.dtype, buffer=self._add_buffer(array))

    def weights(self, values: np.ndarray, *, int8: bool) -> Tensor:
        """Add the weights (outputs, inputs) of a matmul; int8: with one scale for each output."""
        if not int8:
            return self.constant(values)
        scales, numbers = quantize(values)
        tensor = self._add_tensor(values.shape, numbers.dtype, buffer=self._add_buffer(numbers))
        parameters = schema.QuantizationParametersT()
        parameters.scale, parameters.zeroPoint = scales, np.zeros(len(scales), np.int64)
        parameters.quantizedDimension = 0
        self._subgraph.tensors[tensor.number].quantization = parameters
        return tensor

    def _add_tensor(
        self, shape: Shape, dtype: np.dtype, *, buffer: int = 0, name: str = ""
    ) -> Tensor:
        entry = schema.TensorT()
        number = len(self._subgraph.tensors)
        entry.name = (name or f"tensor_{number}").encode()
        entry.type, entry.buffer = TYPES[dtype], buffer
        entry.shape = [max(size, 1) for size in shape]
        if OPEN in shape:
            entry.shapeSignature = list(shape)
        self._subgraph.tensors.append(entry)
        return Tensor(number, tuple(shape))

    def _add_buffer(self, values: np.ndarray) -> int:
        buffer = schema.BufferT()
        if values.nbytes <= LARGEST_INLINE:
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        else:
            buffer.offset, buffer.size = self._end, values.nbytes
            self._file.seek(self._end)
            self._file.write(values.data)
            self._end = _align(self._end + values.nbytes)
        self._buffers.append(buffer)
        return len(self._buffers) - 1

    def operator(
        self, name: str, inputs: Sequence[Tensor | None], shape: Shape, options: object = None
    ) -> Tensor:
        """Add an operator of the schema's BuiltinOperator with one output.

        Args:
            name: of the operator.
            inputs: None for an optional input that is left out.
            shape: of the output, which is float32.
            options: an object of the schema, as GeluOptionsT.
        """
        return self._add_operator(name, inputs, [shape], options)[0]

    def _add_operator(
        self, name: str, inputs: Sequence[Tensor | None], shapes: Sequence[Shape], options: object
    ) -> list[Tensor]:
        outputs = [self._add_tensor(shape, np.dtype(np.float32)) for shape in shapes]
        entry = schema.OperatorT()
        entry.opcodeIndex = self._operator_code(name)
        entry.inputs = [-1 if tensor is None else tensor.number for tensor in inputs]
        entry.outputs = [tensor.number for tensor in outputs]
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            entry.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            entry.builtinOptions = options
        self._subgraph.operators.append(entry)
        return outputs

    def _operator_code(self, name: str) -> int:
        if name not in self._codes:
            self._codes[name] = len(self._operator_codes)
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, name)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = VERSIONS.get(name, 1)
            self._operator_codes.append(code)
        return self._codes[name]

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """Add a + b in the shape of a."""
        return self.operator("ADD", [a, b], a.shape, schema.AddOptionsT())

    def subtract(self, a: Tensor, b: Tensor) -> Tensor:
        """Add a - b in the shape of a."""
        return self.operator("SUB", [a, b], a.shape, schema.SubOptionsT())

    def multiply(self, a: Tensor, b: Tensor) -> Tensor:
        """Add a * b in the shape of a."""
        return self.operator("MUL", [a, b], a.shape, schema.MulOptionsT())

    def dense(self, x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        """Add a dense layer: (N, inputs) to (N, outputs)."""
        options = schema.FullyConnectedOptionsT()
        options.keepNumDims, options.asymmetricQuantizeInputs = True, True
        shape = (*x.shape[:-1], weights.shape[0])
        return self.operator("FULLY_CONNECTED", [x, weights, bias], shape, options)

    def matmul(self, a: Tensor, b: Tensor, *, transpose_b: bool = False) -> Tensor:
        """Add a matmul over the last two axes."""
        options = schema.BatchMatMulOptionsT()
        options.adjY = transpose_b
        shape = (*a.shape[:-1], b.shape[-2 if transpose_b else -1])
        return self.operator("BATCH_MATMUL", [a, b], shape, options)

    def mean(self, x: Tensor) -> Tensor:
        """Add a mean over the last axis, which is kept with size 1."""
        options = schema.ReducerOptionsT()
        options.keepDims = True
        axis = self.constant([len(x.shape) - 1], np.int32)
        return self.operator("MEAN", [x, axis], (*x.shape[:-1], 1), options)

    def softmax(self, x: Tensor) -> Tensor:
        """Add a softmax over the last axis."""
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        return self.operator("SOFTMAX", [x], x.shape, options)

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """Add a reshape; one dimension may be OPEN."""
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        return self.operator("RESHAPE", [x, self.constant(shape, np.int32)], shape, options)

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """Add a transpose, as NumPy's."""
        shape = tuple(x.shape[axis] for axis in axes)
        order = self.constant(axes, np.int32)
        return self.operator("TRANSPOSE", [x, order], shape, schema.TransposeOptionsT())

    def split(self, x: Tensor, parts: int) -> list[Tensor]:
        """Add a split of the last axis into equal parts."""
        options = schema.SplitOptionsT()
        options.numSplits = parts
        axis = self.constant(np.int32(len(x.shape) - 1), np.int32)
        shape = (*x.shape[:-1], x.shape[-1] // parts)
        return self._add_operator("SPLIT", [axis, x], [shape] * parts, options)

    def concatenate(self, parts: Sequence[Tensor]) -> Tensor:
        """Add a concatenation along the last axis."""
        options = schema.ConcatenationOptionsT()
        options.axis = len(parts[0].shape) - 1
        shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
        return self.operator("CONCATENATION", parts, shape, options)


def quantize(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantize (outputs, inputs) to float32 scales (outputs,) and int8: value = scale * number."""
    scales = np.maximum(values.max(axis=1), -values.min(axis=1)).astype(np.float32) / LARGEST_INT8
    scales[scales == 0] = 1.0
    numbers = np.rint(values / scales[:, None])
    return scales, np.clip(numbers, -LARGEST_INT8, LARGEST_INT8).astype(np.int8)


def _align(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
