"""Parts of an ONNX file are read and written as onnx.proto3 says."""

import numpy as np
import onnxruntime
import pytest

from service.similarity.embeddings.onnx_files import GraphWriter, read_arrays


def write_doubling() -> bytes:
    graph = GraphWriter()
    graph.add("Cast", ["ids"], "floats", to=1)
    factor = graph.add_array("factor", np.array([[2.0, 300.0]], np.float32))
    return graph.write(graph.add("Mul", ["floats", factor], "doubled"))


def test_a_written_model_runs() -> None:
    session = onnxruntime.InferenceSession(write_doubling(), providers=["CPUExecutionProvider"])
    (doubled,) = session.run(None, {"ids": np.array([[3, 4]])})
    assert doubled.tolist() == [[6.0, 1200.0]]


def test_written_constants_are_read_again() -> None:
    graph = GraphWriter()
    given = {
        "bytes": np.arange(-3, 3, dtype=np.int8).reshape(2, 3),
        "places": np.array([2**40, -1]),
        "none": np.zeros((0, 2), np.float32),
    }
    for name, array in given.items():
        graph.add_array(name, array)
    found = read_arrays(graph.write("ids"))
    assert {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in given.items()
    }
    assert found["bytes"].dtype == np.int8


@pytest.mark.parametrize("data", [b"", b"a page of HTML <html>", b"\x0f", write_doubling()[:40]])
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"protobuf|no ONNX model|buffer"):
        read_arrays(data)
