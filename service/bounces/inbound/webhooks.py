"""Parse the webhook calls of each provider into notices. Pure: bytes in, values out.

Sources: the providers' documentation (Amazon SES "Contents of notifications", Postmark "Bounce
webhook", Mailgun "Webhooks", Twilio SendGrid "Event Webhook"). Calls were authenticated before, in
`service.bounces.inbound.webhook_signatures`. Entries that cannot be parsed are skipped and counted.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from service.bounces.inbound.notice import BounceNotice
from service.deliveries.domain.refusals import CERTAIN, LIKELY, SOFT, Refusal, classify_refusal
from service.deliveries.domain.states import BounceVerdict
from service.platform.one_line import normalise_line

V = BounceVerdict
Fields = Mapping[str, Any]

# Providers send batches of hundreds at most (SendGrid: 768 kB).
MOST_BYTES = 1_000_000
MOST_DEPTH = 40
MOST_NOTICES = 5_000


class WebhookUnreadable(ValueError):
    """The body is not in the provider's format; the error's text says why, without the body."""


@dataclass(frozen=True, slots=True)
class ParsedWebhook:
    """The notices of a call, and how many entries could not be parsed."""

    notices: tuple[BounceNotice, ...]
    bad_count: int = 0


def parse_json(body: bytes) -> object:
    """Parse JSON of bounded size and depth. Raises `WebhookUnreadable`."""
    if len(body) > MOST_BYTES:
        raise WebhookUnreadable(f"more than {MOST_BYTES} bytes")
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WebhookUnreadable("not JSON") from error
    if _depth(value) > MOST_DEPTH:
        raise WebhookUnreadable("nested too deep")
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _depth(value: object) -> int:
    layer, depth = [value], 0
    while layer and depth <= MOST_DEPTH:
        inner = [item for item in layer if isinstance(item, dict | list)]
        layer = [v for item in inner for v in (item.values() if isinstance(item, dict) else item)]
        depth += 1
    return depth


def parse_webhook(provider: str, value: object) -> ParsedWebhook:
    """Return the notices in a provider's JSON (for SES: the message inside the SNS envelope)."""
    entries = value if isinstance(value, list) else [value]
    notices: list[BounceNotice] = []
    bad_count = 0
    for entry in entries:
        try:
            notices += list(PARSERS[provider](_fields(entry)))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
            bad_count += 1
        if len(notices) > MOST_NOTICES:
            raise WebhookUnreadable(f"about more than {MOST_NOTICES} mails")
    return ParsedWebhook(tuple(notices), bad_count)


def _fields(value: object) -> Fields:
    if not isinstance(value, dict):
        raise WebhookUnreadable("not an object")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise WebhookUnreadable("not a list")
    return value


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise WebhookUnreadable("not a text")
    return _text(value)


def _optional(value: object) -> Fields:
    """Return an object that may be missing; providers also send null or an empty string."""
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return normalise_line(str(value))[:2000] if isinstance(value, str | int | float) else ""


def _moment(value: object) -> datetime | None:
    """Parse a time in ISO 8601 or in seconds since 1970; None where it is neither."""
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        moment = datetime.fromisoformat(str(value))
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _key(provider: str, *parts: object) -> str:
    """Return an event's key, from the provider's identifier or else from the event's fields."""
    joined = "\0".join(map(str, parts)).encode("utf-8", "replace")
    return f"{provider}:{sha256(joined).hexdigest()[:32]}"


# --- Amazon SES -----------------------------------------------------------------------------

# Events that prove that SES accepted the mail, whatever happened to it later.
_SES_TAKEN = frozenset({"Send", "Delivery", "DeliveryDelay"})

# bounceSubType, for bounces that bring neither a status nor a diagnosis.
_SES_SUBTYPES = {
    "NoEmail": Refusal(V.ADDRESS, "", CERTAIN),
    "Suppressed": Refusal(V.ADDRESS, "", CERTAIN),
    "OnAccountSuppressionList": Refusal(V.ADDRESS, "", CERTAIN),
    "MailboxFull": Refusal(V.FULL, "", SOFT),
    "MessageTooLarge": Refusal(V.CONTENT),
    "ContentRejected": Refusal(V.CONTENT),
    "AttachmentRejected": Refusal(V.CONTENT),
}


def _parse_ses(event: Fields) -> Iterator[BounceNotice]:
    kind = event.get("notificationType") or event["eventType"]
    mail = _fields(event["mail"])
    paths = (_text(mail.get("source")),)
    ids = tuple(_ses_message_ids(mail))
    if kind in {"Bounce", "Complaint"}:
        notice = _fields(event[kind.lower()])
        # A complaint lists every recipient of the mail; our mails have one.
        listed = notice["bouncedRecipients" if kind == "Bounce" else "complainedRecipients"]
        for recipient in map(_fields, _list(listed)):
            address = _string(recipient["emailAddress"])
            if kind == "Bounce":
                refusal = _ses_refusal(notice, recipient)
                detail = _text(recipient.get("diagnosticCode")) or _text(
                    notice.get("bounceSubType")
                )
            else:
                detail = _text(notice.get("complaintFeedbackType")) or "abuse"
                refusal = Refusal(V.NOT_A_BOUNCE if detail == "not-spam" else V.COMPLAINT)
            yield BounceNotice(
                key=_key("ses", notice.get("feedbackId"), mail.get("messageId"), address),
                address=address,
                **asdict(refusal),
                detail=detail,
                return_paths=paths,
                message_ids=ids,
                occurred_at=_moment(notice.get("timestamp")),
            )
    elif kind in _SES_TAKEN:
        # `Delivery` and `DeliveryDelay` name their recipients themselves, `Send` only in `mail`.
        source = event.get("delivery") or mail
        for address in _list(_fields(source).get("recipients") or mail["destination"]):
            key = _key("ses", kind, mail.get("messageId"), address)
            yield BounceNotice(
                key, V.NOT_A_BOUNCE, _string(address), return_paths=paths, message_ids=ids
            )


def _ses_refusal(bounce: Fields, recipient: Fields) -> Refusal:
    status, reply = _text(recipient.get("status")), _text(recipient.get("diagnosticCode"))
    by_subtype = _SES_SUBTYPES.get(_text(bounce.get("bounceSubType")))
    if by_subtype and not reply:
        return by_subtype
    if bounce.get("bounceType") == "Transient" and not (status or reply):
        return Refusal(V.CONFIGURATION)
    return classify_refusal(status, reply)


def _ses_message_ids(mail: Fields) -> Iterator[str]:
    """Yield our Message-IDs, where SES is set to include the original headers."""
    yield _text(_optional(mail.get("commonHeaders")).get("messageId"))
    for header in map(_fields, _list(mail.get("headers") or [])):
        if str(header.get("name", "")).lower() == "message-id":
            yield _text(header.get("value"))


# --- Postmark -------------------------------------------------------------------------------

# Postmark's bounce types. Others are classified by the receiver's reply.
_POSTMARK_TYPES = {
    "HardBounce": Refusal(V.ADDRESS, "", CERTAIN),
    "BadEmailAddress": Refusal(V.ADDRESS, "", CERTAIN),
    "ManuallyDeactivated": Refusal(V.ADDRESS, "", LIKELY),
    "InboundError": Refusal(V.CONFIGURATION),
    "DnsError": Refusal(V.CONFIGURATION),
    "SMTPApiError": Refusal(V.CONFIGURATION),
    "TemplateRenderingFailed": Refusal(V.CONFIGURATION),
    "SpamNotification": Refusal(V.POLICY),
    "Blocked": Refusal(V.POLICY),
    "DMARCPolicy": Refusal(V.POLICY),
    "ChallengeVerification": Refusal(V.POLICY),
    "VirusNotification": Refusal(V.CONTENT),
    "Transient": Refusal(V.NOT_A_BOUNCE),
    "AddressChange": Refusal(V.ADDRESS, "", LIKELY),
    "AutoResponder": Refusal(V.AUTO_REPLY),
    "Subscribe": Refusal(V.NOT_A_BOUNCE),
    "OpenRelayTest": Refusal(V.NOT_A_BOUNCE),
    "SpamComplaint": Refusal(V.COMPLAINT),
    "Unsubscribe": Refusal(V.COMPLAINT),
}


def _parse_postmark(event: Fields) -> Iterator[BounceNotice]:
    record = event["RecordType"]
    fixed = {"SpamComplaint": Refusal(V.COMPLAINT), "Delivery": Refusal(V.NOT_A_BOUNCE)}
    if record not in {"Bounce", *fixed}:
        return
    address = _string(event.get("Email") or event["Recipient"])
    metadata = _optional(event.get("Metadata"))
    yield BounceNotice(
        key=_key("postmark", record, event.get("ID") or event.get("MessageID"), address),
        address=address,
        **asdict(fixed.get(record) or _postmark_refusal(event)),
        detail=_text(event.get("Details")) or _text(event.get("Description")),
        return_paths=(_text(event.get("From")),),
        message_ids=(_text(metadata.get("message-id") or metadata.get("message_id")),),
        occurred_at=_moment(event.get("BouncedAt") or event.get("DeliveredAt")),
    )


def _postmark_refusal(event: Fields) -> Refusal:
    """Classify by the receiver's reply where it is clear: `HardBounce` covers refusals, too."""
    by_type = _POSTMARK_TYPES.get(_text(event.get("Type")))
    reply = _text(event.get("Details"))
    if by_type is None or (by_type.verdict is V.ADDRESS and reply):
        by_reply = classify_refusal("", reply)
        if by_type is None or by_reply.code or by_reply.verdict not in {V.ADDRESS, V.UNKNOWN}:
            return by_reply
        # A reply that nobody understands leaves a doubt.
        return replace(by_type, weight=LIKELY) if by_reply.verdict is V.UNKNOWN else by_type
    return by_type


# --- Mailgun --------------------------------------------------------------------------------

# Events that prove that Mailgun accepted the mail.
_MAILGUN_TAKEN = frozenset({"accepted", "delivered"})


def _parse_mailgun(call: Fields) -> Iterator[BounceNotice]:
    event = _fields(call["event-data"])
    kind = event["event"]
    if kind not in {"failed", "rejected", "complained", *_MAILGUN_TAKEN}:
        return
    status = _optional(event.get("delivery-status"))
    reply = _text(status.get("message")) or _text(status.get("description"))
    headers = _fields(_fields(event.get("message") or {}).get("headers") or {})
    identity = _text(headers.get("message-id"))
    yield BounceNotice(
        key=_key("mailgun", event["id"]),
        address=_string(event["recipient"]),
        **asdict(_mailgun_refusal(event, status, reply)),
        detail=reply or _text(event.get("reason")),
        return_paths=(_text(_optional(event.get("envelope")).get("sender")),),
        message_ids=(f"<{identity.strip('<>')}>",) if identity else (),
        occurred_at=_moment(event.get("timestamp")),
    )


def _mailgun_refusal(event: Fields, status: Fields, reply: str) -> Refusal:
    kind, reason = event["event"], _text(event.get("reason"))
    if kind == "complained" or reason == "suppress-complaint":
        return Refusal(V.COMPLAINT)
    if kind in _MAILGUN_TAKEN or event.get("severity") == "temporary":
        # Mailgun retries; it reports a mail that it gives up on as permanent.
        return Refusal(V.NOT_A_BOUNCE)
    if reason == "suppress-bounce":
        return Refusal(V.ADDRESS, "", CERTAIN)
    if kind == "rejected" or reason == "suppress-unsubscribe":
        return Refusal(V.POLICY)
    return classify_refusal(
        _text(status.get("enhanced-code")), f"{_text(status.get('code'))} {reply}"
    )


# --- SendGrid -------------------------------------------------------------------------------

# The first three prove that SendGrid accepted the mail.
_SENDGRID_EVENTS = {
    **dict.fromkeys(("processed", "deferred", "delivered"), Refusal(V.NOT_A_BOUNCE)),
    "spamreport": Refusal(V.COMPLAINT),
}
_SENDGRID_DROPS = {
    "bounced address": Refusal(V.ADDRESS, "", CERTAIN),
    "invalid": Refusal(V.ADDRESS, "", CERTAIN),
    "spam reporting address": Refusal(V.COMPLAINT),
    "unsubscribed address": Refusal(V.POLICY),
    "spam content (if spam checker app enabled)": Refusal(V.CONTENT),
    "recipient list over package quota": Refusal(V.CONFIGURATION),
}


def _parse_sendgrid(event: Fields) -> Iterator[BounceNotice]:
    # The oldest format has no event name and reports only bounces.
    kind = event.get("event", "bounce")
    if kind not in {"bounce", "dropped", *_SENDGRID_EVENTS}:
        return
    address, reason = _string(event["email"]), _text(event.get("reason"))
    refusal = _SENDGRID_EVENTS.get(kind)
    if kind == "dropped":
        refusal = _SENDGRID_DROPS.get(reason.lower())
    yield BounceNotice(
        key=_key("sendgrid", event.get("sg_event_id") or (event.get("created"), address, reason)),
        address=address,
        **asdict(refusal or classify_refusal(_text(event.get("status")), reason)),
        detail=reason,
        message_ids=(_text(event.get("smtp-id")),),
        occurred_at=_moment(event.get("timestamp") or event.get("created")),
    )


# --- Generic --------------------------------------------------------------------------------


def _parse_generic(event: Fields) -> Iterator[BounceNotice]:
    """Parse our own format, for relays without a parser here: see docs/bounces.md."""
    kind = event["event"]
    status, reply = _text(event.get("status")), _text(event.get("reply"))
    refusals = {
        "complaint": Refusal(V.COMPLAINT),
        "delivered": Refusal(V.NOT_A_BOUNCE),
        "bounce": classify_refusal(status, reply),
    }
    identity = event.get("id") or (kind, event.get("address"), event.get("at"), status, reply)
    yield BounceNotice(
        key=_key("generic", identity),
        address=_string(event.get("address") or ""),
        **asdict(refusals[kind]),
        detail=reply,
        return_paths=(_text(event.get("return_path")),),
        message_ids=(_text(event.get("message_id")),),
        occurred_at=_moment(event.get("at")),
    )


PARSERS: dict[str, Callable[[Fields], Iterator[BounceNotice]]] = {
    "ses": _parse_ses,
    "postmark": _parse_postmark,
    "mailgun": _parse_mailgun,
    "sendgrid": _parse_sendgrid,
    "generic": _parse_generic,
}
