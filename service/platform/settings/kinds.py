"""Pydantic types of the settings: each refuses unusable values with a hint.

No error text repeats a value that may hold a password.
"""

import ipaddress
import re
from collections.abc import Callable
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from service.platform.caches import cached
from service.platform.settings.contrast import LEAST_CONTRAST, NIGHT, PAPER, contrast, is_colour
from service.platform.settings.faults import Refused
from service.platform.settings.relays import parse_smtp_url
from service.platform.time_zones import is_zone

# The value of `bounce_mailbox` where `paperboy bounces listen` receives the mail itself.
LISTENER = "listener"

_HOOKS = ("ses", "postmark", "mailgun", "sendgrid", "generic")

Word = TypeVar("Word")


def _split_url(url: str) -> SplitResult:
    """Return `urlsplit(url)`, with all parts empty where it cannot be parsed."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")


@cached("loopback hosts", maxsize=16)
def is_loopback(host: str) -> bool:
    """Return whether `host` is a loopback name or address of this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _must(test: Callable[[Any], object], problem: str, hint: str) -> AfterValidator:
    """Return a validator that refuses values failing `test`; `{}` in `problem` is the value."""

    def validate(value: Any) -> Any:
        if not test(value):
            raise Refused(problem.format(value), hint)
        return value

    return AfterValidator(validate)


def _match(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern, re.ASCII).fullmatch


def _must_show_on(ground: str, direction: str) -> AfterValidator:
    def validate(colour: str) -> str:
        found = contrast(colour, ground)
        if found < LEAST_CONTRAST:
            problem = f"{colour} on {ground} has a contrast of {found:.1f}, and people need {LEAST_CONTRAST}"
            raise Refused(problem, f"Take a {direction} one")
        return colour

    return AfterValidator(validate)


def split_words(value: Any) -> Any:
    """Split text at commas and blanks into a tuple; return other values unchanged."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _is_web_address(url: str) -> bool:
    parts = _split_url(url)
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _has_address(text: str) -> bool:
    return "\n" not in text and bool(_match(r"[^\s@<>\"]+@[^\s@<>\"]+")(parseaddr(text)[1]))


def _is_network(text: str) -> bool:
    try:
        # A network of all addresses would trust everybody.
        return ipaddress.ip_network(text).prefixlen > 0
    except ValueError:
        return False


def _check_relay(url: str) -> str:
    parse_smtp_url(url)
    return url


def _check_key(entry: str) -> str:
    # Only installations that sign should pay for importing cryptography.
    from service.platform.settings.dkim_keys import load_dkim_key

    load_dkim_key(entry)
    return entry


def _check_selectors(entries: tuple[str, ...]) -> tuple[str, ...]:
    if len({entry.partition("=")[0] for entry in entries}) < len(entries):
        raise Refused("a selector is used twice", "Give each key a selector of its own")
    return entries


def _check_hook(entry: str) -> str:
    name, _, secret = entry.partition("=")
    if name not in _HOOKS:
        # The entry is not quoted: it may be a secret whose provider name was forgotten.
        problem = "a word does not begin with a provider's name and ="
        raise Refused(problem, f"Use {', '.join(f'{known}=…' for known in _HOOKS)}")
    if name == "ses" and not secret.startswith("arn:aws"):
        raise Refused("ses is not the ARN of an SNS topic", "Use ses=arn:aws:sns:…")
    if name == "postmark" and ":" not in secret:
        raise Refused("postmark is not user:password", "Use postmark=user:password")
    if len(secret) < 16:
        problem = f"the key of {name} is shorter than 16 characters"
        raise Refused(problem, "Use `openssl rand -hex 32`, or the provider's own key")
    return entry


def _check_mailbox(address: str) -> str:
    if address == LISTENER:
        return address
    parts = _split_url(address)
    hint = "Use imaps://user:password@host/INBOX, maildir:/var/mail/bounces or listener"
    if parts.scheme not in {"imap", "imaps", "maildir"}:
        raise Refused("this is no mailbox that can be read", hint)
    if parts.scheme == "maildir" and not parts.path.startswith("/"):
        raise Refused("the path of the Maildir is not absolute", hint)
    if parts.scheme != "maildir" and not (parts.hostname and parts.username):
        raise Refused("the host or the user is missing", hint)
    return address


Words = Annotated[tuple[Word, ...], NoDecode, BeforeValidator(split_words)]
Count = Annotated[int, Field(ge=1)]
Processes = Annotated[int, Field(ge=1, le=64)]
Seconds = Annotated[float, Field(gt=0)]
WarmUpDays = Annotated[int, Field(ge=0, le=30)]
# The papers of a digest that failed are carried over for thirty days, and bounces come late.
LedgerDays = Annotated[int, Field(ge=60)]
Hour = Annotated[int, Field(ge=0, le=23)]
# Absolute, because worker processes change their directory and the data must not move with them.
Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]

# A table: one kind a line, with its test, what is wrong otherwise, and what to write.
# fmt: off
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)]
TemplatesFolder = Annotated[Folder, _must(Path.is_dir, "there is no folder {}", "Make it, or leave this unset")]
DatabaseUrl = Annotated[str, _must(_match(r"postgres(ql)?://.*"), "this is not a PostgreSQL address", "Use postgresql://user:password@host/name")]
RedisUrl = Annotated[str, _must(_match(r"(rediss?|unix)://.*"), "this is not a Valkey or Redis address", "Use redis://host:6379/0 or unix:///path")]
BrokerUrl = Annotated[str, _must(_match(r"(amqps?|rediss?|unix)://.*"), "this is not a RabbitMQ, Valkey or Redis address", "Use amqp://user:password@host:5672/name or redis://host:6379/1")]
WebAddress = Annotated[str, _must(_is_web_address, "{} is not a web address", "Use https://papers.example.org"), AfterValidator(lambda url: url.rstrip("/"))]
SigningKey = Annotated[str, _must(_match(r".{16,}"), "a key is shorter than 16 characters", "Use `openssl rand -base64 48`")]
ApiKey = Annotated[str, _must(_match(r"([!-~]{24,})?"), "the key is shorter than 24 characters, or has characters that a header cannot have", "Use `openssl rand -base64 32`")]
MailAddress = Annotated[str, _must(_has_address, "{} has no address", "Use Paperboy <digest@example.org>")]
Domain = Annotated[str, _must(_match(r"[\w-]+(\.[\w-]+)*"), "{} is not a domain", "Use bounces.example.org")]
Network = Annotated[str, _must(_is_network, "{} is not an address or network of a proxy", "Use 127.0.0.1 or 172.30.57.0/24")]
SigningDomain = Annotated[str, _must(_match(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"), "{} is not a domain", "Use example.org")]
# arXiv's archives and categories: `cs.CL`, `hep-th`, `cond-mat.mes-hall` (arxiv.org/category_taxonomy).
Category = Annotated[str, _must(_match(r"[a-z]+(-[a-z]+)?(\.[A-Z]{2}|\.[a-z]+(-[a-z]+)*)?"), "{} is not a category", "Write them like cs.CL or hep-th")]
Journal = Annotated[str, _must(_match(r"[a-zA-Z0-9-]+=https?://.+"), "{} is not name=https://…", "Separate several by spaces")]
TimeZone = Annotated[str, _must(is_zone, "{} is not a time zone", "Use a name such as Europe/Berlin")]
BrandName = Annotated[str, Field(min_length=1, max_length=60), _must(str.isprintable, "this is no name for a sender", "Use one line of 1 to 60 letters")]
Colour = Annotated[str, _must(is_colour, "{} is not a colour", "Write it like #a8321c")]
DayColour = Annotated[Colour, _must_show_on(PAPER, "darker")]
NightColour = Annotated[Colour, _must_show_on(NIGHT, "lighter")]
Relay = Annotated[str, AfterValidator(_check_relay)]
DkimKeys = Annotated[Words[Annotated[str, AfterValidator(_check_key)]], AfterValidator(_check_selectors)]
Hook = Annotated[str, AfterValidator(_check_hook)]
BounceMailbox = Annotated[str, AfterValidator(_check_mailbox)]
# fmt: on
