"""Embedding models by the value of the setting `EMBEDDER`; their packages are loaded with the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from service.platform.caches import cached
from service.similarity.domain.vectors import MINILM, WORDLLAMA, WORDS_ONLY
from service.similarity.packages import refuse_embedder


class Embedder(Protocol):
    """An embedding model. Its `name` is stored with its vectors; only equal names are compared."""

    @property
    def name(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return each text's direction as signed bytes (see `vectors.quantize`), or empty bytes."""
        ...


class NoEmbedder:
    """The lexical fallback: no text has a vector, so similarity uses words alone."""

    name = WORDS_ONLY

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [b""] * len(texts)


MODEL_NAMES: Final = {"minilm": MINILM, "wordllama": WORDLLAMA, "none": WORDS_ONLY}
"""Value of the setting -> name under which its vectors are stored."""


@cached("embedding models", maxsize=2)
def load_embedder(name: str) -> Embedder:
    """Return the model that the setting `EMBEDDER` names, loaded once per process.

    Raises `SettingsError`, one line, where its package or file is missing or not the pinned one.
    """
    if name == "none":
        return NoEmbedder()
    try:
        # NumPy is an extra, and most processes compare no texts.
        from service.similarity.embeddings.packaged import MiniLm, WordLlama
    except ModuleNotFoundError as error:
        raise refuse_embedder(f"the package {error.name} is not installed") from error
    return MiniLm() if name == "minilm" else WordLlama()
