"""The settings: one frozen value with a type for every setting.

The attribute `base_url` is the variable `PAPERBOY_BASE_URL`, and so on; docs/settings.md lists them.
"""

from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.platform.settings import kinds
from service.platform.settings.faults import PREFIX
from service.platform.settings.kinds import (
    Count,
    MailAddress,
    Seconds,
    WebAddress,
    Words,
    is_loopback,
)
from service.platform.settings.relays import SmtpRelay, parse_smtp_url


class Settings(BaseSettings):
    """All settings of an operator. Secrets are left out of `repr`.

    An empty `database_url` or `redis_url` means the embedded server
    (`service.platform.embedded.resolve_services` fills it in), an empty `broker_url` that `redis_url`
    is the broker, too (`queue_url`), an empty `admin_password` no admin pages, an empty `api_key` no operator's part of the API; `send_rate` is messages per second, None for as fast as the relay answers.
    `load_settings` reads the environment; `Settings(…)` reads only its arguments.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, validate_default=False, hide_input_in_errors=True
    )

    database_url: kinds.DatabaseUrl = Field(default="", repr=False)
    redis_url: kinds.RedisUrl = Field(default="", repr=False)
    broker_url: kinds.BrokerUrl = Field(default="", repr=False)
    data_dir: kinds.Folder = Field(default=Path(".paperboy"), validate_default=True)
    sent_mark: kinds.Folder | None = None
    smtp_url: Words[kinds.Relay] = Field(default=(), repr=False)
    mailbox_url: kinds.Relay = "smtp://127.0.0.1:1025?starttls=off"
    base_url: WebAddress = "http://127.0.0.1:8000"
    trusted_proxies: Words[kinds.Network] = ()
    web_processes: kinds.Processes = 2
    mail_from: MailAddress = "Paperboy <digest@localhost>"
    reply_to: MailAddress = ""
    bounce_domain: kinds.Domain = ""
    dkim_domain: kinds.SigningDomain = ""
    dkim_keys: kinds.DkimKeys = ()
    bounce_mailbox: kinds.BounceMailbox = Field(default="", repr=False)
    hooks: Words[kinds.Hook] = Field(default=(), repr=False)
    secret_key: Words[kinds.SigningKey] = Field(default=(), repr=False)
    admin_password: str = Field(default="", repr=False)
    api_key: kinds.ApiKey = Field(default="", repr=False)
    sources: Words[str] = ("arxiv", "huggingface")
    arxiv_feed_url: WebAddress = "https://rss.arxiv.org"
    arxiv_oai_url: WebAddress = "https://oaipmh.arxiv.org/oai"
    arxiv_api_url: WebAddress = "https://export.arxiv.org/api/query"
    arxiv_list_url: WebAddress = "https://arxiv.org/list"
    huggingface_url: WebAddress = "https://huggingface.co"
    biorxiv_url: WebAddress = "https://api.biorxiv.org"
    journal_feeds: Words[kinds.Journal] = Field(default=(), repr=False)
    arxiv_categories: Words[kinds.Category] = ("cs.AI", "cs.CL", "cs.CV", "cs.LG", "stat.ML")
    digest_hour: kinds.Hour = 7
    digest_timezone: kinds.TimeZone = "UTC"
    digest_max_papers: Count = 25
    digest_max_bytes: Count = 90_000
    smtputf8: bool = False
    send_rate: Seconds | None = None
    send_connections: Count = 10
    send_window: Count = 128
    send_not_after_hours: Count = 20
    warm_up_days: kinds.WarmUpDays = 0
    lease_seconds: Count = 900
    in_doubt: Literal["carry", "wait"] = "carry"
    http_timeout_seconds: Seconds = 30.0
    embedder: Literal["minilm", "wordllama", "none"] = "wordllama"
    keep_copies_days: Count = 90
    keep_deliveries_days: kinds.LedgerDays = 400
    keep_events_days: Count = 30
    contact: str = ""
    alert_to: MailAddress = ""
    daily_report: bool = True
    operator_address: str = ""
    brand_name: kinds.BrandName = "Paperboy"
    brand_accent: kinds.DayColour = "#a8321c"
    brand_accent_night: kinds.NightColour = "#ef8a72"
    brand_logo: WebAddress = ""
    brand_footer: str = ""
    templates_dir: kinds.TemplatesFolder | None = None
    ai_summaries: bool = True
    votes: bool = True
    submissions: bool = True
    picks: bool = True
    edition_notes: bool = True
    fast_rendering: bool = True
    send_farewell: bool = False
    log_level: kinds.LogLevel = "INFO"
    log_file: kinds.Folder | None = None

    @classmethod
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[Any, ...]:
        """Read only the arguments; see pydantic-settings, "Customise settings sources"."""
        return (sources["init_settings"],)

    @property
    def journals(self) -> tuple[tuple[str, str], ...]:
        """The feeds of the journals as (name, URL)."""
        pairs = (entry.partition("=") for entry in self.journal_feeds)
        return tuple((name, url) for name, _, url in pairs)

    @property
    def hook_secrets(self) -> dict[str, tuple[str, ...]]:
        """The secrets that authenticate webhooks: provider -> its keys (for SES, its SNS topics)."""
        pairs = [entry.partition("=") for entry in self.hooks]
        return {
            name: tuple(secret for other, _, secret in pairs if other == name)
            for name, _, _ in pairs
        }

    @property
    def relays(self) -> tuple[SmtpRelay, ...]:
        """The relays in the operator's order; the development mailbox where none is set."""
        return tuple(parse_smtp_url(url) for url in self.smtp_url or (self.mailbox_url,))

    @property
    def has_mailbox_pages(self) -> bool:
        """Whether `/mailbox` shows the mail that no relay takes: only on a site for this machine."""
        return not self.smtp_url and is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def queue_url(self) -> str:
        """The broker in Celery's form: `broker_url`, or else `redis_url`."""
        return broker_url(self.broker_url or self.redis_url)

    @property
    def envelope_domain(self) -> str:
        """The domain that receives bounces: `bounce_domain`, or else the domain of `mail_from`."""
        return self.bounce_domain or self.from_domain

    @property
    def reads_bounce_domain(self) -> bool:
        """Whether a mailbox or a listener reads all mail to `bounce_domain`."""
        return bool(self.bounce_domain and self.bounce_mailbox)

    @property
    def from_domain(self) -> str:
        """The domain in the From header."""
        return self.mail_from.rpartition("@")[2].rstrip("> ")


def broker_url(redis_url: str) -> str:
    """Convert redis-py's `unix:///path?db=3` into kombu's `redis+socket:///path?virtual_host=3`.

    Other URLs are returned unchanged. (kombu.transport.redis, "socket" scheme.)
    """
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    database = parse_qs(parts.query).get("db", ["0"])[-1]
    return f"redis+socket://{parts.path}?virtual_host={database}"
