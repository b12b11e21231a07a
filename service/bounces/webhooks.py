"""A provider's webhook: proved, read, recorded. Nothing is stored of a call that proves nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from sqlalchemy.orm import Session, sessionmaker

from service.bounces.inbound.webhook_signatures import (
    Call,
    Fetch,
    HookForged,
    check_generic,
    check_mailgun,
    check_postmark,
    check_sendgrid,
    check_sns,
    is_amazon,
)
from service.bounces.inbound.webhooks import HookUnreadable, read_hook, read_json
from service.bounces.record import Channel, RecordedNotice, read_bounce_mail, record_notices
from service.platform.caches import cached
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings

_CERTIFICATE_BYTES = 20_000
_TIMEOUT_SECONDS = 10.0

log = get_logger(__name__)


class HookUnknown(LookupError):
    """There is no such provider, or the operator has set no key for it."""


@dataclass(frozen=True, slots=True)
class HookReport:
    """What a call came to: notices by outcome, and entries that could not be read."""

    recorded: int = 0
    known: int = 0
    arrived: int = 0
    unattributed: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True)
class HookDoor:
    """What taking calls needs. `fetch` gets SNS certificates and confirms subscriptions."""

    sessions: sessionmaker[Session]
    settings: Settings
    fetch: Fetch


@cached("Amazon certificates", maxsize=8)
def fetch_from_amazon(url: str) -> bytes:
    """A certificate, or the answer to a confirmation; redirects are not followed.

    Raises `HookForged` where it cannot be had, so that the provider calls again. The address was
    checked before; at most eight answers are kept, which is more than Amazon has in use.
    """
    try:
        with httpx.stream("GET", url, timeout=_TIMEOUT_SECONDS) as answer:
            answer.raise_for_status()
            found = b""
            for piece in answer.iter_bytes():
                found += piece
                if len(found) > _CERTIFICATE_BYTES:
                    raise HookForged("a certificate that is too large")
    except httpx.HTTPError as error:
        raise HookForged("the certificate cannot be fetched") from error
    return found


def take_hook(door: HookDoor, provider: str, call: Call, now: datetime) -> HookReport:
    """Take one call. Raises `HookUnknown`, `HookForged` or `HookUnreadable`, storing nothing."""
    secrets = door.settings.hook_secrets.get(provider)
    if not secrets:
        raise HookUnknown(provider)
    if provider == "ses":
        return _take_sns(door, call, frozenset(secrets), now)
    value = _prove(provider, call, secrets)
    channel = Channel(door.settings, provider, trusts_addresses=True)
    if value is None:
        reading = read_bounce_mail(door.sessions, channel, call.body, now)
        if reading.fault:
            raise HookUnreadable(reading.fault)
        return _report(list(reading.recorded), 0)
    return _record(door, channel, value, now)


def _prove(provider: str, call: Call, secrets: tuple[str, ...]) -> object | None:
    """The call's JSON, once one of the keys proves it; None for a raw mail (generic alone)."""
    if provider == "mailgun":
        # Its signature is inside, so this one is read before it is proved.
        value: object = read_json(call.body)
        _any_key(secrets, lambda secret: check_mailgun(value, secret))
        return value
    checks: dict[str, Callable[[Call, str], None]] = {
        "postmark": check_postmark,
        "sendgrid": check_sendgrid,
        "generic": check_generic,
    }
    _any_key(secrets, lambda secret: checks[provider](call, secret))
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_mail = provider == "generic" and kind == "message/rfc822"
    read: object = None if is_mail else read_json(call.body)
    return read


def _any_key(secrets: tuple[str, ...], check: Callable[[str], None]) -> None:
    """Pass if one of the keys does: two are set while the operator changes them."""
    for secret in secrets[:-1]:
        try:
            return check(secret)
        except HookForged:
            continue
    return check(secrets[-1])


def _take_sns(door: HookDoor, call: Call, topics: frozenset[str], now: datetime) -> HookReport:
    envelope = read_json(call.body)
    if not isinstance(envelope, dict):
        raise HookForged("not an SNS message")
    check_sns(envelope, topics, door.fetch, now)
    if envelope["Type"] == "Notification":
        inner = read_json(str(envelope.get("Message", "")).encode("utf-8", "replace"))
        return _record(door, Channel(door.settings, "ses", trusts_addresses=True), inner, now)
    if envelope["Type"] == "SubscriptionConfirmation":
        _confirm(envelope, door.fetch)
    return HookReport()


def _confirm(envelope: Mapping[str, Any], fetch: Fetch) -> None:
    url = str(envelope.get("SubscribeURL", ""))
    if not is_amazon(url):
        raise HookForged("a confirmation that does not lead to amazonaws.com")
    fetch(url)
    log.info("hook.confirmed", topic=envelope.get("TopicArn"))


def _record(door: HookDoor, channel: Channel, value: object, now: datetime) -> HookReport:
    reading = read_hook(channel.source, value)
    if reading.bad_count:
        log.warning("hook.bad_entries", source=channel.source, count=reading.bad_count)
    recorded = record_notices(door.sessions, channel, reading.notices, now)
    return _report(recorded, reading.bad_count)


def _report(recorded: list[RecordedNotice], bad_count: int) -> HookReport:
    counts = [one.outcome for one in recorded]
    return HookReport(
        recorded=counts.count("recorded"),
        known=counts.count("known"),
        arrived=counts.count("arrived"),
        unattributed=counts.count("unattributed"),
        bad=bad_count,
    )
