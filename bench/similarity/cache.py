"""An embedder that remembers its vectors in a file, since a whole corpus takes half an hour."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from service.similarity.embeddings.embedders import Embedder


class CachedEmbedder:
    """Looks each text up by its SHA-256 before the model embeds it. `save` writes what is new."""

    def __init__(self, embedder: Embedder, path: Path | None) -> None:
        self.name = embedder.name
        self._embedder = embedder
        self._path = path
        self._known: dict[str, bytes] = {}
        self._is_changed = False
        if path is not None and path.exists():
            with np.load(path) as file:
                if str(file["model"]) == embedder.name:
                    rows = (row.tobytes() for row in file["vectors"])
                    self._known = dict(zip(file["hashes"].tolist(), rows, strict=True))

    def knows(self, text: str) -> bool:
        return _key(text) in self._known

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        keys = [_key(text) for text in texts]
        missing = [n for n, key in enumerate(keys) if key not in self._known]
        for n, vector in zip(
            missing, self._embedder.embed([texts[n] for n in missing]), strict=True
        ):
            self._known[keys[n]] = vector
            self._is_changed = True
        return [self._known[key] for key in keys]

    def save(self) -> None:
        if self._path is None or not self._is_changed:
            return
        known = {key: vector for key, vector in self._known.items() if vector}
        vectors = np.array([np.frombuffer(vector, np.int8) for vector in known.values()])
        np.savez(self._path, model=self.name, hashes=[*known], vectors=vectors)


def _key(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]
