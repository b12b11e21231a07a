"""Settings: one frozen value read from the environment, with every fault named at once.

Names are those of the operator's handbook with the prefix `PAPERBOY_`; an attribute is the same
name in lower case. An empty variable counts as unset, because compose files pass empty ones.
"""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from service.platform.settings.relays import SmtpRelay, parse_smtp_url


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
