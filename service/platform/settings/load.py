"""Load the settings from the environment and `.env`, reporting all faults at once."""

import os
import secrets
import tempfile
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from service.platform.clock import DEMO_CLOCK
from service.platform.settings.env_file import ENV_FILE, environ_with_file
from service.platform.settings.faults import PREFIX, Refused, SettingFault, SettingsError
from service.platform.settings.kinds import split_words
from service.platform.settings.settings import Settings

SECRETS = frozenset(
    {
        "database_url", "redis_url", "broker_url", "smtp_url", "secret_key", "admin_password", "api_key",
        "hooks", "bounce_mailbox",
    }
)  # fmt: skip

# The test suite's own variables are in the same environment as those of the services it starts.
# The last two say where settings and the clock are, and so cannot be settings.
_NOT_SETTINGS = ("PAPERBOY_REAL_DATA", "PAPERBOY_REQUIRE_", "PAPERBOY_TEST_", ENV_FILE, DEMO_CLOCK)


def setting_names() -> frozenset[str]:
    """Return every environment variable that is a setting, with the `…_FILE` forms of secrets."""
    names = {PREFIX + name.upper() for name in Settings.model_fields}
    return frozenset(names | {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS})


def load_data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Return the data directory without loading other settings, whose files may be missing yet."""
    given = environ_with_file() if environ is None else environ
    text = given.get(f"{PREFIX}DATA_DIR", "").strip()
    return Path(text or Settings.model_fields["data_dir"].default).expanduser().absolute()


def load_settings(
    known_sources: Collection[str], environ: Mapping[str, str] | None = None
) -> Settings:
    """Load the settings from `environ`, complete with a secret key.

    The default is this process's environment, with the settings file for what it leaves unset.

    `known_sources` are all names that `sources` may hold. An empty variable counts as unset,
    because compose files pass empty ones.

    Raises SettingsError with every fault; its text never holds the value of a secret.
    """
    found = environ_with_file() if environ is None else environ
    given = {k: v.strip() for k, v in found.items()}
    faults = _find_unknown(given)
    _load_secret_files(given, faults)
    source = EnvSettingsSource(Settings)
    source.env_vars = {variable.lower(): value for variable, value in given.items() if value}
    values = source()
    faults += _check_sources(values, known_sources)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        faults += _describe(error)
    if faults:
        raise SettingsError(faults)
    return settings if settings.secret_key else _with_secret_key(settings)


def check_setting(name: str, text: str) -> None:
    """Raise SettingsError where this text cannot be the value of a setting."""
    values: dict[str, Any] = {name: text}
    try:
        Settings(**values)
    except ValidationError as error:
        raise SettingsError(_describe(error)) from error


def _find_unknown(given: Mapping[str, str]) -> list[SettingFault]:
    known = {name.removeprefix(PREFIX) for name in setting_names()}
    faults = []
    for variable in sorted(given):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in known or variable.startswith(_NOT_SETTINGS):
            continue
        close = get_close_matches(name, known, n=1)
        hint = f"Did you mean {PREFIX}{close[0]}" if close else "Remove it"
        faults.append(SettingFault(name, "there is no such setting", hint))
    return faults


def _load_secret_files(given: dict[str, str], faults: list[SettingFault]) -> None:
    """Put the content of `…_FILE` into the secret's variable; append problems to `faults`."""
    for name in SECRETS:
        variable = f"{PREFIX}{name.upper()}"
        path = given.get(f"{variable}_FILE")
        if path and given.get(variable):
            faults.append(
                SettingFault(name, f"{variable}_FILE is set as well", "Keep one of the two")
            )
        elif path:
            try:
                given[variable] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not text"
                problem = f"the file {path} cannot be read ({reason})"
                faults.append(
                    SettingFault(f"{name}_file", problem, "Name a file that you may read")
                )


def _check_sources(values: Mapping[str, object], known: Collection[str]) -> list[SettingFault]:
    hint = f"Use some of {', '.join(known)}"
    named = split_words(values.get("sources", Settings.model_fields["sources"].default))
    if not named:
        return [SettingFault("sources", "no source is named", hint)]
    return [
        SettingFault("sources", f"{name} is not a source", hint)
        for name in named
        if name not in known
    ]


def _describe(error: ValidationError) -> list[SettingFault]:
    faults = []
    for entry in error.errors(include_url=False):
        name, problem = str(entry["loc"][0]), entry["msg"].removeprefix("Value error, ")
        cause = entry.get("ctx", {}).get("error")
        default = Settings.model_fields[name].default
        hint = f"The default is {default}" if default else "Correct it"
        hint = cause.hint if isinstance(cause, Refused) else hint
        faults.append(SettingFault(name, problem.replace("Input should", "the value should"), hint))
    return faults


def _with_secret_key(settings: Settings) -> Settings:
    """Use the key in the data directory; the first process creates it.

    The key is written to a temporary file and then linked into place: `link` is atomic and fails
    where the name exists, so two processes cannot race and none reads a half-written key.
    """
    path = settings.data_dir / "secret_key"
    try:
        if not path.exists():
            _make_secret_key(path)
        key = path.read_text(encoding="ascii")
    except OSError as error:
        problem = f"no key can be kept in {path} ({error.strerror})"
        hint = f"Set it, or point {PREFIX}DATA_DIR to a directory that this user may write"
        raise SettingsError([SettingFault("secret_key", problem, hint)]) from error
    return settings.model_copy(update={"secret_key": tuple(key.split())})


def _make_secret_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix="secret_key.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
        os.link(name, path)
    except FileExistsError:
        pass  # Another process created the key first; use that one.
    finally:
        Path(name).unlink()
