"""A LiteRT model file, made operator by operator; large weights go to the file as they come.

The file is a flatbuffer in front (operators, shapes, scales, small constants), and the weights
behind it, each where its buffer says. Source: the schema of TensorFlow Lite, schema.fbs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

ALIGNMENT = 64  # bytes
LARGEST_INLINE = 16 * 1024  # bytes of a constant that stands in the flatbuffer itself
LARGEST_INT8 = 127  # symmetric: -128 is not used
OPEN = -1  # a dimension that each call sets
TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int8): schema.TensorType.INT8,
}
VERSIONS = {  # of an operator, where the first cannot do what is asked of it
    "FULLY_CONNECTED": 12,  # float inputs, int8 weights with a scale for each output
    "BATCH_MATMUL": 4,
}

Shape = tuple[int, ...]


class Tensor(NamedTuple):
    """A tensor of the graph: its number and its shape, with OPEN where a call sets the size."""

    number: int
    shape: Shape


class Graph:
    """Operators on tensors, in the order in which they run; a context that closes the file.

    path: the file that is written; flatbuffer_bytes: at least as many as all but the large weights
    take.
    """

    def __init__(self, path: Path, flatbuffer_bytes: int):
        self._path = path
        self._end = _aligned(flatbuffer_bytes)  # of the file so far
        self._room = self._end
        self._subgraph = schema.SubGraphT()
        self._subgraph.name = b"main"
        self._subgraph.tensors, self._subgraph.operators = [], []
        self._subgraph.inputs, self._subgraph.outputs = [], []
        self._buffers = [schema.BufferT()]  # the first is that of tensors without values
        self._codes: dict[str, int] = {}
        self._operator_codes: list[Any] = []
        self._file = path.open("wb")

    def __enter__(self) -> "Graph":
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def write(self, outputs: Sequence[Tensor]) -> None:
        """Finish the file."""
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

    # Tensors

    def input(self, name: str, shape: Shape) -> Tensor:
        """What a call gives, in float32."""
        tensor = self._tensor(shape, np.dtype(np.float32), name=name)
        self._subgraph.inputs.append(tensor.number)
        return tensor

    def constant(self, values: Any, dtype=np.float32) -> Tensor:
        """Values of the model's own."""
        values = np.ascontiguousarray(values, dtype)
        return self._tensor(values.shape, values.dtype, buffer=self._buffer(values))

    def weights(self, values: np.ndarray, *, in_8_bits: bool) -> Tensor:
        """A product's weights (outputs, inputs), in 8 bits with a scale for each output."""
        if not in_8_bits:
            return self.constant(values)
        scales, numbers = quantized(values)
        tensor = self._tensor(values.shape, numbers.dtype, buffer=self._buffer(numbers))
        about = schema.QuantizationParametersT()
        about.scale, about.zeroPoint = scales, np.zeros(len(scales), np.int64)
        about.quantizedDimension = 0
        self._subgraph.tensors[tensor.number].quantization = about
        return tensor

    def _tensor(self, shape: Shape, dtype: np.dtype, *, buffer: int = 0, name: str = "") -> Tensor:
        about = schema.TensorT()
        number = len(self._subgraph.tensors)
        about.name = (name or f"tensor_{number}").encode()
        about.type, about.buffer = TYPES[dtype], buffer
        about.shape = [max(size, 1) for size in shape]
        if OPEN in shape:
            about.shapeSignature = list(shape)
        self._subgraph.tensors.append(about)
        return Tensor(number, tuple(shape))

    def _buffer(self, values: np.ndarray) -> int:
        buffer = schema.BufferT()
        if values.nbytes <= LARGEST_INLINE:
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        else:
            buffer.offset, buffer.size = self._end, values.nbytes
            self._file.seek(self._end)
            self._file.write(values.data)
            self._end = _aligned(self._end + values.nbytes)
        self._buffers.append(buffer)
        return len(self._buffers) - 1

    # Operators

    def operator(
        self, name: str, inputs: Sequence[Tensor | None], shape: Shape, options: Any = None
    ) -> Tensor:
        """One operator of the schema's BuiltinOperator, with the options of that name or none."""
        return self._operator(name, inputs, [shape], options)[0]

    def _operator(
        self, name: str, inputs: Sequence[Tensor | None], shapes: Sequence[Shape], options: Any
    ) -> list[Tensor]:
        outputs = [self._tensor(shape, np.dtype(np.float32)) for shape in shapes]
        made = schema.OperatorT()
        made.opcodeIndex = self._code(name)
        made.inputs = [-1 if tensor is None else tensor.number for tensor in inputs]
        made.outputs = [tensor.number for tensor in outputs]
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            made.builtinOptions = options
        self._subgraph.operators.append(made)
        return outputs

    def _code(self, name: str) -> int:
        if name not in self._codes:
            self._codes[name] = len(self._operator_codes)
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, name)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = VERSIONS.get(name, 1)
            self._operator_codes.append(code)
        return self._codes[name]

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """a + b in the shape of a."""
        return self.operator("ADD", [a, b], a.shape, schema.AddOptionsT())

    def subtract(self, a: Tensor, b: Tensor) -> Tensor:
        """a - b in the shape of a."""
        return self.operator("SUB", [a, b], a.shape, schema.SubOptionsT())

    def multiply(self, a: Tensor, b: Tensor) -> Tensor:
        """a * b in the shape of a."""
        return self.operator("MUL", [a, b], a.shape, schema.MulOptionsT())

    def dense(self, x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        """(N, inputs) -> (N, outputs)."""
        options = schema.FullyConnectedOptionsT()
        options.keepNumDims, options.asymmetricQuantizeInputs = True, True
        shape = (*x.shape[:-1], weights.shape[0])
        return self.operator("FULLY_CONNECTED", [x, weights, bias], shape, options)

    def matmul(self, a: Tensor, b: Tensor, *, transpose_b: bool = False) -> Tensor:
        """The products of the last two axes."""
        options = schema.BatchMatMulOptionsT()
        options.adjY = transpose_b
        shape = (*a.shape[:-1], b.shape[-2 if transpose_b else -1])
        return self.operator("BATCH_MATMUL", [a, b], shape, options)

    def mean(self, x: Tensor) -> Tensor:
        """Over the last axis, which stays with the size 1."""
        options = schema.ReducerOptionsT()
        options.keepDims = True
        axis = self.constant([len(x.shape) - 1], np.int32)
        return self.operator("MEAN", [x, axis], (*x.shape[:-1], 1), options)

    def softmax(self, x: Tensor) -> Tensor:
        """Over the last axis."""
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        return self.operator("SOFTMAX", [x], x.shape, options)

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """One dimension may be OPEN."""
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        return self.operator("RESHAPE", [x, self.constant(shape, np.int32)], shape, options)

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """As NumPy's."""
        shape = tuple(x.shape[axis] for axis in axes)
        order = self.constant(axes, np.int32)
        return self.operator("TRANSPOSE", [x, order], shape, schema.TransposeOptionsT())

    def split(self, x: Tensor, parts: int) -> list[Tensor]:
        """Equal parts of the last axis."""
        options = schema.SplitOptionsT()
        options.numSplits = parts
        axis = self.constant(np.int32(len(x.shape) - 1), np.int32)
        shape = (*x.shape[:-1], x.shape[-1] // parts)
        return self._operator("SPLIT", [axis, x], [shape] * parts, options)

    def concatenate(self, parts: Sequence[Tensor]) -> Tensor:
        """Along the last axis."""
        options = schema.ConcatenationOptionsT()
        options.axis = len(parts[0].shape) - 1
        shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
        return self.operator("CONCATENATION", parts, shape, options)


def quantized(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(outputs, inputs) as scales (outputs,) float32 and int8 numbers: scale * number = value."""
    scales = np.maximum(values.max(axis=1), -values.min(axis=1)).astype(np.float32) / LARGEST_INT8
    scales[scales == 0] = 1.0
    numbers = np.rint(values / scales[:, None])
    return scales, np.clip(numbers, -LARGEST_INT8, LARGEST_INT8).astype(np.int8)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
