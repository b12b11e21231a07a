"""Settings: one frozen value read from the environment, with every fault named at once.

Names are those of the operator's handbook with the prefix `PAPERBOY_`; an attribute is the same
name in lower case. An empty variable counts as unset, because compose files pass empty ones.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from service.platform.settings.checks import PREFIX, Fault, check

__all__ = [
    "Fault",
    "Settings",
    "SettingsError",
    "SmtpRelay",
    "broker_url",
    "check",
    "load_settings",
    "parse_smtp_url",
    "setting_names",
]

SECRETS = frozenset(
    {
        "database_url", "redis_url", "smtp_url", "secret_key", "admin_password", "hooks",
        "bounce_mailbox",
    }
)  # fmt: skip
# The test suite's own variables stand in the same environment as those of the services it starts.
_NOT_SETTINGS = ("PAPERBOY_REAL_DATA", "PAPERBOY_REQUIRE_", "PAPERBOY_TEST_")

Starttls = Literal["auto", "required", "off"]
MOST_WEIGHT = 100


class SettingsError(Exception):
    """The environment cannot be used; `str()` is one readable line per fault."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class SmtpRelay:
    """Where mail goes out. `use_tls` is TLS from the first byte (RFC 8314), port 465 by custom.

    `weight` is its share of the connections among several relays.
    """

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    use_tls: bool = False
    starttls: Starttls = "auto"
    weight: int = 1

    @property
    def name(self) -> str:
        """What logs and alerts call it; without the password."""
        return f"{self.host}:{self.port}"


def parse_smtp_url(url: str) -> SmtpRelay:
    """Read `smtp[s]://[user:pass@]host[:port][?starttls=auto|required|off&weight=1…100]`.

    Credentials are percent-decoded. Without a port: 465 for `smtps`, 587 (submission, RFC 6409)
    with a user name, 25 otherwise. Raises ValueError whose text never repeats the URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ValueError("is not smtp://host:port or smtps://host:port")
    use_tls = parts.scheme == "smtps"
    options = _options(parts.query)
    usual_port = 465 if use_tls else 587 if parts.username else 25
    return SmtpRelay(
        host=parts.hostname,
        port=parts.port or usual_port,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        use_tls=use_tls,
        starttls=_starttls(options.get("starttls", "off" if use_tls else "auto")),
        weight=_weight(options.get("weight", "1")),
    )


def _options(query: str) -> dict[str, str]:
    options = {name: values[-1] for name, values in parse_qs(query).items()}
    unknown = set(options) - {"starttls", "weight"}
    if unknown:
        known = "only starttls and weight are known"
        raise ValueError(f"has unknown options: {', '.join(sorted(unknown))}; {known}")
    return options


def _weight(said: str) -> int:
    if not (said.isascii() and said.isdigit() and 1 <= int(said) <= MOST_WEIGHT):
        raise ValueError(f"has weight={said[:20]}; use 1 to {MOST_WEIGHT}")
    return int(said)


def _starttls(said: str) -> Starttls:
    match said:
        case "auto":
            return "auto"
        case "required":
            return "required"
        case "off":
            return "off"
        case other:
            raise ValueError(f"has starttls={other}; use required, off or auto")


def _split(value: object) -> object:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseModel):
    """Everything an operator may set. Secrets are left out of `repr`.

    `database_url` and `redis_url` are empty where the embedded servers are meant
    (`service.platform.embedded.resolve_services` fills them); `admin_password` empty means no admin pages;
    `send_rate` is messages per second, None for as fast as the relay answers.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )

    database_url: str = Field(default="", repr=False)
    redis_url: str = Field(default="", repr=False)
    data_dir: Path = Path(".paperboy")
    smtp_url: Words = Field(default=(), repr=False)
    mailbox_url: str = "smtp://127.0.0.1:1025?starttls=off"
    base_url: str = "http://127.0.0.1:8000"
    mail_from: str = "Paperboy <digest@localhost>"
    reply_to: str = ""
    bounce_domain: str = ""
    dkim_domain: str = ""
    dkim_keys: Words = ()
    bounce_mailbox: str = Field(default="", repr=False)
    hooks: Words = Field(default=(), repr=False)
    secret_key: Words = Field(default=(), repr=False)
    admin_password: str = Field(default="", repr=False)
    sources: Words = ("arxiv", "huggingface")
    arxiv_feed_url: str = "https://rss.arxiv.org"
    arxiv_oai_url: str = "https://oaipmh.arxiv.org/oai"
    arxiv_api_url: str = "https://export.arxiv.org/api/query"
    arxiv_list_url: str = "https://arxiv.org/list"
    huggingface_url: str = "https://huggingface.co"
    biorxiv_url: str = "https://api.biorxiv.org"
    journal_feeds: Words = ()
    arxiv_categories: Words = ("cs.AI", "cs.CL", "cs.CV", "cs.LG", "stat.ML")
    digest_hour: int = 7
    digest_timezone: str = "UTC"
    digest_max_papers: Count = 25
    digest_max_bytes: Count = 90_000
    smtputf8: bool = False
    send_rate: Seconds | None = None
    send_connections: Count = 10
    send_window: Count = 32
    send_not_after_hours: Count = 20
    lease_seconds: Count = 900
    in_doubt: Literal["carry", "wait"] = "carry"
    http_timeout_seconds: Seconds = 30.0
    embedder: Literal["wordllama", "none"] = "wordllama"
    contact: str = ""
    alert_to: str = ""
    operator_address: str = ""
    brand_name: str = "Paperboy"
    brand_accent: str = "#a8321c"
    brand_accent_night: str = "#ef8a72"
    brand_logo: str = ""
    brand_footer: str = ""
    templates_dir: Path | None = None
    send_farewell: bool = False
    log_level: str = "INFO"

    @field_validator("data_dir", "templates_dir")
    @classmethod
    def _make_absolute(cls, value: Path | None) -> Path | None:
        # Worker processes change their directory; the data must not move with them.
        return value and value.expanduser().absolute()

    @field_validator("base_url", "huggingface_url", "biorxiv_url", "arxiv_feed_url")
    @classmethod
    def _drop_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("log_level")
    @classmethod
    def _raise_case(cls, value: str) -> str:
        return value.upper()

    @field_validator("smtp_url")
    @classmethod
    def _read_relays(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            parse_smtp_url(url)
        return value

    @field_validator("journal_feeds")
    @classmethod
    def _read_journals(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            name, _, url = word.partition("=")
            if not name.replace("-", "").isalnum() or not url.startswith(("http://", "https://")):
                raise ValueError("is not name=https://… (several separated by spaces)")
        return value

    @property
    def journals(self) -> tuple[tuple[str, str], ...]:
        """The journals' feeds as (name, address)."""
        pairs = (word.partition("=") for word in self.journal_feeds)
        return tuple((name, url) for name, _, url in pairs)

    @property
    def hook_secrets(self) -> dict[str, tuple[str, ...]]:
        """What proves a provider's webhooks: provider -> its keys (for SES, its topics)."""
        pairs = [word.partition("=") for word in self.hooks]
        return {
            name: tuple(secret for other, _, secret in pairs if other == name)
            for name, _, _ in pairs
        }

    @property
    def relays(self) -> tuple[SmtpRelay, ...]:
        """The relays in the operator's order; the development mailbox where none is set."""
        return tuple(parse_smtp_url(url) for url in self.smtp_url or (self.mailbox_url,))

    @property
    def broker_url(self) -> str:
        """`redis_url` as Celery spells it."""
        return broker_url(self.redis_url)

    @property
    def envelope_domain(self) -> str:
        """Where bounces go: `bounce_domain`, or the domain of `mail_from` where it is unset."""
        return self.bounce_domain or self.from_domain

    @property
    def from_domain(self) -> str:
        """The domain that readers see mails come from."""
        return self.mail_from.rpartition("@")[2].rstrip("> ")


def broker_url(redis_url: str) -> str:
    """Translate redis-py's `unix:///path?db=3` into kombu's `redis+socket:///path?virtual_host=3`.

    Other URLs come back unchanged. (kombu.transport.redis, "socket" scheme.)
    """
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    database = parse_qs(parts.query).get("db", ["0"])[-1]
    return f"redis+socket://{parts.path}?virtual_host={database}"


def setting_names() -> frozenset[str]:
    """Every environment variable that is a setting, the `…_FILE` forms of secrets included."""
    names = {PREFIX + name.upper() for name in Settings.model_fields}
    return frozenset(names | {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS})


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environ` (default: this process's), complete with a secret key.

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
    faults += [fault for fault in check(settings) if fault.is_fatal]
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
