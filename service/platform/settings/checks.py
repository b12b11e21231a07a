"""What can be wrong with settings that could be read: every fault at once, each with a hint."""

from __future__ import annotations

import ipaddress
import re
import stat
from collections.abc import Collection, Iterator
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from service.platform.settings.contrast import LEAST_CONTRAST, NIGHT, PAPER, contrast, is_colour
from service.platform.settings.faults import Fault

if TYPE_CHECKING:
    from service.platform.settings.settings import Settings


KNOWN_HOOKS = ("ses", "postmark", "mailgun", "sendgrid", "generic")
# arXiv's archives and categories: `cs.CL`, `hep-th`, `cond-mat.mes-hall` (arxiv.org/category_taxonomy).
_CATEGORY = re.compile(r"[a-z]+(-[a-z]+)?(\.[A-Z]{2}|\.[a-z]+(-[a-z]+)*)?")
_ADDRESS = re.compile(r"[^\s@<>\"]+@[^\s@<>\"]+")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def check(settings: Settings, known_sources: Collection[str]) -> list[Fault]:
    """List every fault of `settings`; the fatal ones are those `load_settings` refuses.

    `known_sources` are all names that `sources` may hold: this room knows no source.
    """
    checks = (
        _check_services,
        _check_web,
        _check_mail,
        _check_brand,
        _check_relays,
        _check_signing,
        _check_bounces,
        _check_categories,
        _check_digest,
    )
    found = [fault for find in checks for fault in find(settings)]
    return [*found, *_check_sources(settings.sources, known_sources)]


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine under a name or address that never leaves it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_services(settings: Settings) -> Iterator[Fault]:
    if settings.database_url and _scheme(settings.database_url) not in {"postgresql", "postgres"}:
        yield Fault(
            "database_url",
            "this is not a PostgreSQL address",
            "Use postgresql://user:password@host/name",
        )
    if settings.redis_url and _scheme(settings.redis_url) not in {"redis", "rediss", "unix"}:
        yield Fault(
            "redis_url",
            "this is not a Valkey or Redis address",
            "Use redis://host:6379/0 or unix:///path",
        )
    if settings.log_level not in _LEVELS:
        yield Fault(
            "log_level", f"{settings.log_level} is not a level", f"Use one of {', '.join(_LEVELS)}"
        )
    short = [key for key in settings.secret_key if len(key) < 16]
    if short:
        yield Fault(
            "secret_key",
            "a key is shorter than 16 characters",
            "Use `openssl rand -base64 48`, for example",
        )


def _check_web(settings: Settings) -> Iterator[Fault]:
    if 0 < len(settings.admin_password) < 12:
        yield Fault(
            "admin_password",
            "the password is shorter than 12 characters",
            "Use `openssl rand -base64 24`, for example",
            is_fatal=False,
        )
    parts = _split(settings.base_url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        yield Fault(
            "base_url",
            f"{settings.base_url} is not a web address",
            "Use https://papers.example.org",
        )
    elif parts.scheme == "http" and not is_loopback(parts.hostname):
        problem = "plain http, so mails carry no one-click unsubscribe (RFC 8058 asks for https)"
        yield Fault("base_url", problem, "Put the site behind https", is_fatal=False)
    for name in (
        "arxiv_feed_url",
        "arxiv_oai_url",
        "arxiv_api_url",
        "arxiv_list_url",
        "huggingface_url",
        "biorxiv_url",
    ):
        url = str(getattr(settings, name))
        if _scheme(url) not in {"http", "https"}:
            yield Fault(name, f"{url} is not a web address", "Start it with https:// or http://")


def _check_mail(settings: Settings) -> Iterator[Fault]:
    if not _has_address(settings.mail_from):
        yield Fault(
            "mail_from", f"{settings.mail_from} has no address", "Use Paperboy <digest@example.org>"
        )
    if settings.reply_to and not _has_address(settings.reply_to):
        yield Fault(
            "reply_to",
            f"{settings.reply_to} has no address",
            "Use editor@example.org, or leave it empty",
        )
    if settings.alert_to and not _has_address(settings.alert_to):
        yield Fault(
            "alert_to",
            f"{settings.alert_to} has no address",
            "Use operator@example.org, or leave it empty",
        )
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", settings.bounce_domain or "localhost", re.ASCII):
        yield Fault(
            "bounce_domain", f"{settings.bounce_domain} is not a domain", "Use bounces.example.org"
        )
    if not _is_public(settings):
        return
    if not settings.operator_address:
        problem = "mails name no postal address, which many laws ask for"
        yield Fault(
            "operator_address", problem, "Set it to the operator's name and address", is_fatal=False
        )
    if not settings.alert_to:
        problem = "nobody is told when a provider or a relay refuses all mail"
        yield Fault("alert_to", problem, "Set it to the operator's own address", is_fatal=False)
    if settings.envelope_domain == "localhost":
        yield Fault(
            "mail_from",
            "localhost cannot receive bounces",
            "Use an address at your own domain",
            is_fatal=False,
        )


def _check_brand(settings: Settings) -> Iterator[Fault]:
    name = settings.brand_name
    if not name or len(name) > 60 or not name.isprintable():
        yield Fault("brand_name", "this is no name for a sender", "Use one line of 1 to 60 letters")
    for setting, ground in (("brand_accent", PAPER), ("brand_accent_night", NIGHT)):
        colour = str(getattr(settings, setting))
        if not is_colour(colour):
            yield Fault(setting, f"{colour} is not a colour", "Write it like #a8321c")
        elif contrast(colour, ground) < LEAST_CONTRAST:
            problem = f"{colour} on {ground} has a contrast of {contrast(colour, ground):.1f}, and people need {LEAST_CONTRAST}"
            direction = "darker" if ground == PAPER else "lighter"
            yield Fault(setting, problem, f"Take a {direction} one")
    if settings.brand_logo and _scheme(settings.brand_logo) not in {"http", "https"}:
        yield Fault("brand_logo", f"{settings.brand_logo} is not a web address", "Use https://…")
    folder = settings.templates_dir
    if folder is not None and not folder.is_dir():
        yield Fault("templates_dir", f"there is no folder {folder}", "Make it, or leave this unset")


def _check_relays(settings: Settings) -> Iterator[Fault]:
    for relay in settings.relays:
        if (
            relay.password
            and relay.starttls != "required"
            and not (relay.use_tls or is_loopback(relay.host))
        ):
            problem = f"the password for {relay.host} may cross the network in the clear"
            yield Fault(
                "smtp_url", problem, "Add ?starttls=required or use smtps://", is_fatal=False
            )


def _check_signing(settings: Settings) -> Iterator[Fault]:
    """Keys are read here, so that nobody learns in the morning that one cannot sign."""
    if not settings.dkim_keys:
        return
    # Only who signs pays for loading the cryptography.
    from service.platform.settings.dkim_keys import DkimKeyError, read_key

    domain = settings.dkim_domain
    if domain and not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", domain.lower()):
        yield Fault("dkim_domain", f"{domain} is not a domain", "Use example.org")
    elif domain and not f".{settings.from_domain}".lower().endswith(f".{domain.lower()}"):
        problem = f"{settings.from_domain} is not within {domain}, so DMARC will not count it"
        hint = "Sign for the domain of MAIL_FROM or one above it"
        yield Fault("dkim_domain", problem, hint, is_fatal=False)
    selectors = []
    for word in settings.dkim_keys:
        try:
            selectors.append(read_key(word).selector)
        except DkimKeyError as error:
            yield Fault("dkim_keys", str(error), error.hint)
            continue
        path = Path(word.partition("=")[2])
        if path.stat().st_mode & stat.S_IROTH:
            yield Fault(
                "dkim_keys",
                f"the key in {path} can be read by everybody on this machine",
                f"Run: chmod o-r {path}",
                is_fatal=False,
            )
    if len(set(selectors)) < len(selectors):
        yield Fault("dkim_keys", "a selector stands there twice", "Each key has a name of its own")


def _check_bounces(settings: Settings) -> Iterator[Fault]:
    for word in settings.hooks:
        name, _, secret = word.partition("=")
        if name not in KNOWN_HOOKS:
            # The word itself may be a secret whose name was forgotten.
            problem = "a word does not begin with a provider's name and ="
            yield Fault("hooks", problem, f"Use {', '.join(f'{known}=…' for known in KNOWN_HOOKS)}")
        elif name == "ses" and not secret.startswith("arn:aws"):
            yield Fault("hooks", "ses is not the ARN of an SNS topic", "Use ses=arn:aws:sns:…")
        elif name == "postmark" and ":" not in secret:
            yield Fault("hooks", "postmark is not user:password", "Use postmark=user:password")
        elif len(secret) < 16:
            problem = f"the key of {name} is shorter than 16 characters"
            yield Fault("hooks", problem, "Use `openssl rand -hex 32`, or the provider's own key")
    if settings.bounce_mailbox:
        yield from _check_bounce_mailbox(settings.bounce_mailbox)


def _check_bounce_mailbox(address: str) -> Iterator[Fault]:
    parts = _split(address)
    hint = "Use imaps://user:password@host/INBOX or maildir:/var/mail/bounces"
    if parts is None or parts.scheme not in {"imap", "imaps", "maildir"}:
        yield Fault("bounce_mailbox", "this is no mailbox that can be read", hint)
    elif parts.scheme == "maildir" and not parts.path.startswith("/"):
        yield Fault("bounce_mailbox", "the path of the Maildir is not absolute", hint)
    elif parts.scheme != "maildir" and not (parts.hostname and parts.username):
        yield Fault("bounce_mailbox", "the host or the user is missing", hint)
    elif parts.scheme == "imap" and not is_loopback(parts.hostname or ""):
        problem = "the password crosses the network in the clear"
        yield Fault("bounce_mailbox", problem, "Use imaps://")


def _check_sources(sources: Collection[str], known: Collection[str]) -> Iterator[Fault]:
    hint = f"Use some of {', '.join(known)}"
    if not sources:
        yield Fault("sources", "no source is named", hint)
    for source in sources:
        if source not in known:
            yield Fault("sources", f"{source} is not a source", hint)


def _check_categories(settings: Settings) -> Iterator[Fault]:
    for category in settings.arxiv_categories:
        if not _CATEGORY.fullmatch(category):
            yield Fault(
                "arxiv_categories",
                f"{category} is not a category",
                "Write them like cs.CL or hep-th",
            )


def _check_digest(settings: Settings) -> Iterator[Fault]:
    if settings.digest_hour not in range(24):
        yield Fault("digest_hour", f"{settings.digest_hour} is not an hour", "Use 0 to 23")
    try:
        ZoneInfo(settings.digest_timezone)
    except (KeyError, ValueError, OSError):
        yield Fault(
            "digest_timezone",
            f"{settings.digest_timezone} is not a time zone",
            "Use a name such as Europe/Berlin",
        )


def _is_public(settings: Settings) -> bool:
    """Whether mail may reach strangers: some relay is not this machine's own mailbox."""
    return any(not is_loopback(relay.host) for relay in settings.relays)


def _has_address(value: str) -> bool:
    return "\n" not in value and bool(_ADDRESS.fullmatch(parseaddr(value)[1]))


def _scheme(url: str) -> str:
    parts = _split(url)
    return parts.scheme if parts else ""


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None
