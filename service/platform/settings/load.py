"""Read the settings from the environment and check them, with every fault named at once."""

import os
import secrets
import tempfile
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from service.platform.settings.checks import check
from service.platform.settings.faults import PREFIX, Fault, SettingsError
from service.platform.settings.settings import Settings

SECRETS = frozenset(
    {
        "database_url", "redis_url", "smtp_url", "secret_key", "admin_password", "hooks",
        "bounce_mailbox",
    }
)  # fmt: skip

# The test suite's own variables stand in the same environment as those of the services it starts.
_NOT_SETTINGS = ("PAPERBOY_REAL_DATA", "PAPERBOY_REQUIRE_", "PAPERBOY_TEST_")


def setting_names() -> frozenset[str]:
    """Every environment variable that is a setting, the `…_FILE` forms of secrets included."""
    names = {PREFIX + name.upper() for name in Settings.model_fields}
    return frozenset(names | {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS})


def load_settings(
    known_sources: Collection[str], environ: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings from `environ` (default: this process's), complete with a secret key.

    `known_sources` are all names that `sources` may hold.

    Raises SettingsError naming every fault, never with a secret's value in it.
    """
    given = {k: v.strip() for k, v in (os.environ if environ is None else environ).items()}
    faults = _find_unknown(given)
    values = _read_values(given, faults)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        faults += _describe(error)
        # The rest is checked all the same, so that nobody corrects one fault to meet the next.
        unread = {fault.setting for fault in faults}
        settings = Settings.model_validate({k: v for k, v in values.items() if k not in unread})
    faults += [fault for fault in check(settings, known_sources) if fault.is_fatal]
    if faults:
        raise SettingsError(faults)
    return settings if settings.secret_key else _with_secret_key(settings)


def _find_unknown(given: Mapping[str, str]) -> list[Fault]:
    known = {name.removeprefix(PREFIX) for name in setting_names()}
    faults = []
    for variable in sorted(given):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in known or variable.startswith(_NOT_SETTINGS):
            continue
        close = get_close_matches(name, known, n=1)
        hint = f"Did you mean {PREFIX}{close[0]}" if close else "Remove it"
        faults.append(Fault(name, "there is no such setting", hint))
    return faults


def _read_values(given: Mapping[str, str], faults: list[Fault]) -> dict[str, str]:
    """Collect what is set by attribute name; unreadable secret files are added to `faults`."""
    values = {}
    for name in Settings.model_fields:
        variable = PREFIX + name.upper()
        value = given.get(variable, "")
        path = given.get(f"{variable}_FILE", "") if name in SECRETS else ""
        if value and path:
            faults.append(Fault(name, f"{variable}_FILE is set as well", "Keep one of the two"))
        elif path:
            value = _read_secret(name, path, faults)
        if value:
            values[name] = value
    return values


def _read_secret(name: str, path: str, faults: list[Fault]) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        problem = f"the file {path} cannot be read ({reason})"
        faults.append(Fault(f"{name}_file", problem, "Name a file that this user may read"))
        return ""


def _describe(error: ValidationError) -> list[Fault]:
    faults = []
    for entry in error.errors(include_url=False, include_context=False):
        name = str(entry["loc"][0])
        problem = (
            entry["msg"].removeprefix("Value error, ").replace("Input should", "the value should")
        )
        usual = Settings.model_fields[name].default
        hint = "Correct it" if name in SECRETS or usual is None else f"The default is {usual}"
        faults.append(Fault(name, problem, hint))
    return faults


def _with_secret_key(settings: Settings) -> Settings:
    """Use the key kept in the data directory; the first process to come makes it.

    The key is written aside and then linked into place: `link` fails where the name exists, as
    O_EXCL would, and nobody can read a half-written key in between.
    """
    path = settings.data_dir / "secret_key"
    try:
        if not path.exists():
            _make_secret_key(path)
        key = path.read_text(encoding="ascii")
    except OSError as error:
        problem = f"no key can be kept in {path} ({error.strerror})"
        hint = f"Set it, or point {PREFIX}DATA_DIR to a directory that this user may write"
        raise SettingsError([Fault("secret_key", problem, hint)]) from error
    return settings.model_copy(update={"secret_key": tuple(key.split())})


def _make_secret_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix="secret_key.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
        os.link(name, path)
    except FileExistsError:
        pass  # Another process got there first; its key is the key.
    finally:
        Path(name).unlink()
