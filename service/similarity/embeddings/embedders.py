"""Embedding models, which are installed from a package and never use the network.

The model files are loaded without the package's own code: `wordllama` would import an HTTP client
and configure logging, and only its table of vectors and its tokenizer are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

from service.platform.caches import cached
from service.platform.settings.faults import SettingFault, SettingsError
from service.similarity.domain.vectors import DENSE_LIMIT, DENSE_SCALE, WORDS_ONLY
from service.similarity.packages import INSTALL, has_packages

if has_packages():
    import numpy as np
    from numpy.typing import NDArray


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


class WordLlama:
    """Averages the vectors of 32,000 word pieces: 256 dimensions, some 2,000 papers a second.

    WordLlama (github.com/dleemiller/WordLlama, MIT), the model `l2_supercat` of the package. Texts
    are embedded in lower case, so that a folded clause has the same vector as its original.
    """

    name = "wordllama-l2-256-folded"

    def __init__(self, folder: Path | None = None) -> None:
        """Load the model from `folder`, by default from the installed package."""
        folder = folder or _find_package()
        weights = _check(folder / "weights" / "l2_supercat_256.safetensors", _WORDLLAMA_WEIGHTS)
        names = _check(
            folder / "tokenizers" / "l2_supercat_tokenizer_config.json", _WORDLLAMA_TOKENIZER
        )
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        self._vectors = load_file(weights)["embedding.weight"].astype(np.float32)
        self._tokenizer = Tokenizer.from_file(str(names))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        pieces = self._tokenizer.encode_batch(
            [text.lower() for text in texts], add_special_tokens=False
        )
        return [_quantize(self._vectors[piece.ids].sum(axis=0)) for piece in pieces]


# Pinned: vectors of another file are not comparable with the stored ones.
_WORDLLAMA_WEIGHTS: Final = "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5"
_WORDLLAMA_TOKENIZER: Final = "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68"


@cached("embedding models", maxsize=2)
def load_embedder(name: str) -> Embedder:
    """Return the model that the setting `EMBEDDER` names, loaded once per process.

    Raises `SettingsError`, one line, where its package or file is missing or not the pinned one.
    """
    return WordLlama() if name == "wordllama" else NoEmbedder()


MODEL_NAMES: Final = {"wordllama": WordLlama.name, "none": WORDS_ONLY}
"""Value of the setting -> name under which its vectors are stored."""


def _find_package() -> Path:
    # find_spec does not import a top-level package.
    spec = find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise _refuse("the package wordllama is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def _check(path: Path, expected: str) -> Path:
    try:
        found = sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise _refuse(f"its file {path} cannot be read ({error.strerror})") from error
    if found != expected:
        raise _refuse(f"its file {path} is not the one that was checked")
    return path


def _refuse(problem: str) -> SettingsError:
    hint = f"Run: {INSTALL}; or set it to none"
    return SettingsError([SettingFault("embedder", problem, hint)])


def _quantize(vector: NDArray[np.float32]) -> bytes:
    """Return what `vectors.quantize` does, for arrays."""
    length = float(np.linalg.norm(vector))
    if not length:
        return b""
    rounded = np.rint(vector * (DENSE_SCALE / length)).clip(-DENSE_LIMIT, DENSE_LIMIT)
    return bytes(rounded.astype(np.int8).tobytes())
