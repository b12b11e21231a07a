"""Embedding models: loaded from their packages, checked, and without the network."""

import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from service.platform.settings.faults import SettingsError
from service.platform.settings.settings import Settings
from service.similarity.domain.vectors import DENSE_LIMIT, dot_dense
from service.similarity.embeddings.embedders import MODEL_NAMES, WordLlama, load_embedder


def test_texts_of_similar_meaning_have_similar_directions() -> None:
    model = load_embedder("wordllama")
    query, near, far = model.embed(
        [
            "teaching robots to grasp objects",
            "Manipulation policies for robotic hands learned from demonstration",
            "Cosmological constraints from weak gravitational lensing",
        ]
    )
    assert dot_dense(query, near) > 2 * dot_dense(query, far)


def test_a_vector_has_256_signed_bytes_and_the_case_does_not_matter() -> None:
    upper, lower, again = load_embedder("wordllama").embed(
        ["GRAPH Networks", "graph networks"] * 2
    )[:3]
    assert len(upper) == 256
    assert max(map(abs, array("b", upper))) <= DENSE_LIMIT
    assert upper == lower == again


def test_a_text_without_words_has_no_direction() -> None:
    assert load_embedder("wordllama").embed([""]) == [b""]
    assert load_embedder("wordllama").embed([]) == []


def test_a_text_has_the_same_vector_alone_and_among_others() -> None:
    model = load_embedder("wordllama")
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


def test_a_missing_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read.*or set it to none") as refused:
        WordLlama(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_missing_package_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with pytest.raises(SettingsError, match="the package wordllama is not installed") as refused:
        WordLlama()
    assert "\n" not in str(refused.value)


def test_loading_a_model_imports_no_http_client_and_opens_no_socket() -> None:
    program = """
import socket, sys
def refuse(*_args, **_keywords): raise AssertionError("a socket was opened")
socket.socket = refuse
from service.similarity.embeddings.embedders import load_embedder
assert len(load_embedder("wordllama").embed(["hello"])[0]) == 256
print(sorted({"requests", "httpx2", "huggingface_hub", "wordllama"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stderr
