"""Settings from a file of `NAME=value` lines: `.env` in the working directory, or another one."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from service.platform.settings.faults import PREFIX, FileFault, SettingFault, SettingsError

ENV_FILE = f"{PREFIX}ENV_FILE"


def env_file_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file that PAPERBOY_ENV_FILE names, else `.env` in the working directory."""
    return Path(environ.get(ENV_FILE) or ".env").expanduser().absolute()


def find_env_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the settings file, or None where there is none and none is named."""
    path = env_file_path(environ)
    return path if path.exists() or environ.get(ENV_FILE) else None


def environ_with_file(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment and, for settings that it leaves unset, those of the settings file.

    Raises SettingsError where the file cannot be read, with every bad line.
    """
    path = find_env_file(environ)
    given = load_env_file(path) if path else {}
    unset = {name: value for name, value in given.items() if not _is_set(name, environ)}
    return {**environ, **unset}


def _is_set(name: str, environ: Mapping[str, str]) -> bool:
    """Return whether the environment sets this, as a value or as the file that holds a secret."""
    plain = name.removesuffix("_FILE")
    return any(environ.get(form, "").strip() for form in (plain, f"{plain}_FILE"))


def load_env_file(path: Path) -> dict[str, str]:
    """Return the settings in a file; other names are left to Docker Compose. Raises SettingsError."""
    try:
        with path.open(encoding="utf-8") as file:
            bindings = list(parse_stream(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        problem = f"it cannot be read ({reason})"
        raise SettingsError([FileFault(str(path), problem, "Name a file of settings")]) from error
    faults = [fault for binding in bindings for fault in _find_faults(path, binding)]
    if faults:
        raise SettingsError(faults)
    return {
        binding.key: binding.value
        for binding in bindings
        if binding.key and binding.value is not None and binding.key.startswith(PREFIX)
    }


def _find_faults(path: Path, binding: Binding) -> Iterator[SettingFault]:
    if not binding.error and (binding.key is None or binding.value is not None):
        return
    text = binding.original.string
    # The parser counts the blank lines before a statement as parts of it.
    line = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
    hint = "Write NAME=value, with quotes around a value with spaces, or # before a comment"
    yield FileFault(f"{path}, line {line}", "this is no setting", hint)
