"""Handle a provider's webhook: authenticate, parse, record. Unauthenticated calls store nothing."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2
from sqlalchemy.orm import Session, sessionmaker

from service.bounces.inbound import webhook_signatures as signatures
from service.bounces.inbound.webhooks import WebhookUnreadable, parse_json, parse_webhook
from service.bounces.record import Channel, RecordedNotice, record_bounce_mail, record_notices
from service.bounces.store.webhook_tokens import claim_token
from service.platform.caches import cached
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.outgoing_http import BodyRefused, Request, open_answer
from service.platform.settings.settings import Settings

_CERTIFICATE_BYTES = 20_000
_TIMEOUT_SECONDS = 10.0

log = get_logger(__name__)


class WebhookUnknown(LookupError):
    """The provider is unknown, or the operator has set no key for it."""


@dataclass(frozen=True, slots=True)
class WebhookReport:
    """The counts of a call: notices by outcome, and entries that could not be parsed."""

    recorded: int = 0
    known: int = 0
    arrived: int = 0
    unattributed: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True)
class WebhookContext:
    """The context of webhook calls. `fetch` gets SNS certificates and confirms subscriptions."""

    sessions: sessionmaker[Session]
    settings: Settings
    fetch: signatures.Fetch


@cached("Amazon certificates", maxsize=8)
def fetch_from_amazon(url: str) -> bytes:
    """Return a certificate, or the response to a confirmation; redirects are not followed.

    Raises `WebhookForged` where the request fails, so that the provider calls again. The URL was
    checked before; eight responses are cached, which is more than Amazon has in use.
    """
    wanted = Request(url, _TIMEOUT_SECONDS, _TIMEOUT_SECONDS, follows=False)
    try:
        with open_answer(wanted) as answer:
            answer.response.raise_for_status()
            return answer.read(_CERTIFICATE_BYTES)
    except BodyRefused as error:
        raise signatures.WebhookForged("a certificate that is too large") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise signatures.WebhookForged("the certificate cannot be fetched") from error


def record_webhook(
    door: WebhookContext, provider: str, call: signatures.Call, now: datetime
) -> WebhookReport:
    """Record one call. Raises `WebhookUnknown`, `WebhookForged` or `WebhookUnreadable`, storing nothing."""
    secrets = door.settings.hook_secrets.get(provider)
    if not secrets:
        raise WebhookUnknown(provider)
    if provider == "ses":
        return _take_sns(door, call, frozenset(secrets), now)
    value = _authenticate(provider, call, secrets)
    _check_time(door, provider, call, value, now)
    channel = Channel(door.settings, provider, trusts_addresses=True)
    if value is None:
        reading = record_bounce_mail(door.sessions, channel, call.body, now)
        if reading.fault:
            raise WebhookUnreadable(reading.fault)
        return _report(reading.recorded)
    return _record(door, channel, value, now)


def _authenticate(provider: str, call: signatures.Call, secrets: tuple[str, ...]) -> object | None:
    """Return the call's JSON once a key authenticates it; None for a raw mail (generic only)."""
    if provider == "mailgun":
        # Mailgun's signature is inside the JSON, so it is parsed before it is authenticated.
        value = parse_json(call.body)
        _any_key(secrets, lambda secret: signatures.check_mailgun(value, secret))
        return value
    checks: dict[str, Callable[[signatures.Call, str], None]] = {
        "postmark": signatures.check_postmark,
        "sendgrid": signatures.check_sendgrid,
        "generic": signatures.check_generic,
    }
    _any_key(secrets, lambda secret: checks[provider](call, secret))
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_mail = provider == "generic" and kind == "message/rfc822"
    return None if is_mail else parse_json(call.body)


def _check_time(
    door: WebhookContext, provider: str, call: signatures.Call, value: object, now: datetime
) -> None:
    """Refuse an authenticated call that is repeated. Raises `WebhookStale`.

    An event has no effect twice, even if an attacker repeats it. So Mailgun may repeat the event of a token, as it
    does when we do not answer; only another event with the same token is forged.
    """
    if provider == "sendgrid":
        signatures.check_sendgrid_time(call, now)
    elif provider == "mailgun":
        token = signatures.check_mailgun_time(value, now)
        event = value.get("event-data") if isinstance(value, dict) else None
        # Surrogates are no UTF-8, but JSON may hold them.
        content = json.dumps(event, sort_keys=True).encode()
        with transaction(door.sessions) as session:
            if not claim_token(session, token, content, now):
                raise signatures.WebhookStale("a token that was used for another event")


def _any_key(secrets: tuple[str, ...], check: Callable[[str], None]) -> None:
    """Pass if one of the keys does, since two are set while the operator rotates them."""
    for secret in secrets[:-1]:
        try:
            return check(secret)
        except signatures.WebhookForged:
            continue
    return check(secrets[-1])


def _take_sns(
    door: WebhookContext, call: signatures.Call, topics: frozenset[str], now: datetime
) -> WebhookReport:
    envelope = parse_json(call.body)
    if not isinstance(envelope, dict):
        raise signatures.WebhookForged("not an SNS message")
    signatures.check_sns(envelope, topics, door.fetch, now)
    if envelope["Type"] == "Notification":
        inner = parse_json(str(envelope.get("Message", "")).encode("utf-8", "replace"))
        return _record(door, Channel(door.settings, "ses", trusts_addresses=True), inner, now)
    if envelope["Type"] == "SubscriptionConfirmation":
        _confirm(envelope, door.fetch)
    return WebhookReport()


def _confirm(envelope: Mapping[str, Any], fetch: signatures.Fetch) -> None:
    url = str(envelope.get("SubscribeURL", ""))
    if not signatures.is_amazon(url):
        raise signatures.WebhookForged("a confirmation that does not lead to amazonaws.com")
    fetch(url)
    log.info("hook.confirmed", topic=envelope.get("TopicArn"))


def _record(door: WebhookContext, channel: Channel, value: object, now: datetime) -> WebhookReport:
    reading = parse_webhook(channel.source, value)
    if reading.bad_count:
        log.warning("hook.bad_entries", source=channel.source, count=reading.bad_count)
    recorded = record_notices(door.sessions, channel, reading.notices, now)
    return _report(recorded, reading.bad_count)


def _report(recorded: Iterable[RecordedNotice], bad_count: int = 0) -> WebhookReport:
    return WebhookReport(**Counter(notice.outcome for notice in recorded), bad=bad_count)
