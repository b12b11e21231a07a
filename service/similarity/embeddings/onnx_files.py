"""Read and write the parts of an ONNX file that one model needs, without the package `onnx`.

ONNX is a protobuf message (onnx.proto3): a field is a key, `number << 3 | wire type`, and its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.generic]
Value: TypeAlias = int | float | str | bytes
Field: TypeAlias = tuple[int, Value]

MICROSOFT: Final = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""

_FLOAT, _UINT8, _INT8, _INT64 = 1, 2, 3, 7
_TYPES: Final = {_FLOAT: "<f4", _UINT8: "u1", _INT8: "i1", _INT64: "<i8"}
_NUMBERS: Final = {np.dtype(name): number for number, name in _TYPES.items()}
# Field numbers of the messages.
_GRAPH, _INITIALIZER, _DIMENSION, _DATA_TYPE, _NAME, _RAW_DATA = 7, 5, 1, 2, 8, 9
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_arrays(model: bytes) -> dict[str, Array]:
    """Return the initializers of a model by name. Raises `ValueError` for another kind of file."""
    arrays = {}
    for graph in _pick(memoryview(model), _GRAPH):
        for tensor in _pick(graph, _INITIALIZER):
            fields = [*_iterate_fields(tensor)]
            found = {number: value for number, value in fields if number != _DIMENSION}
            shape = [int(n) for number, n in fields if number == _DIMENSION and isinstance(n, int)]
            raw, kind = found.get(_RAW_DATA), found.get(_DATA_TYPE)
            if isinstance(raw, memoryview) and kind in _TYPES:
                name = bytes(found[_NAME]).decode()
                arrays[name] = np.frombuffer(raw, _TYPES[int(kind)]).reshape(shape)
    if not arrays:
        raise ValueError("no ONNX model with weights")
    return arrays


def _pick(message: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, value in _iterate_fields(message):
        if number == wanted and isinstance(value, memoryview):
            yield value


def _iterate_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at = 0
    try:
        while at < len(message):
            key, at = _read_varint(message, at)
            wire = key & 7
            if wire == _VARINT:
                value, at = _read_varint(message, at)
                yield key >> 3, value
                continue
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire, 0)
            if wire == _BYTES:
                size, at = _read_varint(message, at)
            elif not size:
                raise ValueError("no protobuf message")
            yield key >> 3, message[at : at + size]
            at += size
    except IndexError as error:
        raise ValueError("a protobuf message that is cut off") from error


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


class GraphWriter:
    """A model under construction, of one input `ids` (int64, batch x length) and one output."""

    def __init__(self) -> None:
        self._nodes: list[Field] = []
        self._arrays: list[Field] = []

    def add_array(self, name: str, array: Array) -> str:
        """Add a constant and return its name."""
        array = np.ascontiguousarray(array)
        fields: list[Field] = [(_DIMENSION, size) for size in array.shape]
        fields += [(_DATA_TYPE, _NUMBERS[array.dtype]), (_NAME, name), (_RAW_DATA, array.tobytes())]
        self._arrays.append((_INITIALIZER, _message(fields)))
        return name

    def add(
        self,
        operator: str,
        inputs: Sequence[str],
        *outputs: str,
        domain: str = "",
        **options: float,
    ) -> str:
        """Add a node and return the name of its first output; `options` are its attributes."""
        fields: list[Field] = [(1, name) for name in inputs]
        fields += [(2, name) for name in outputs]
        fields += [(4, operator), (7, domain)]
        fields += [(5, _attribute(name, value)) for name, value in options.items()]
        self._nodes.append((1, _message(fields)))
        return outputs[0]

    def write(self, output: str) -> bytes:
        """Return the whole model, whose result is the array of floats `output`."""
        graph = [*self._nodes, (2, "graph"), *self._arrays]
        graph += [(11, _describe("ids", _INT64)), (12, _describe(output, _FLOAT))]
        versions = [_message([(1, ""), (2, 18)]), _message([(1, MICROSOFT), (2, 1)])]
        return _message([(1, 8), (7, _message(graph)), *((8, version) for version in versions)])


def _attribute(name: str, value: float) -> bytes:
    if isinstance(value, int):
        return _message([(1, name), (3, value), (20, _ATTRIBUTE_INT)])
    return _message([(1, name), (2, value), (20, _ATTRIBUTE_FLOAT)])


def _describe(name: str, kind: int) -> bytes:
    """Return a ValueInfo of two dimensions of any size."""
    shape = _message([(1, _message([(2, size)])) for size in ("rows", f"{name}_columns")])
    return _message([(1, name), (2, _message([(1, _message([(1, kind), (2, shape)]))]))])


def _message(fields: Iterable[Field]) -> bytes:
    return b"".join(_encode(number, value) for number, value in fields)


def _encode(number: int, value: Value) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value % 2**64)
    if isinstance(value, float):
        return _varint(number << 3 | _FIXED32) + np.float32(value).tobytes()
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])
