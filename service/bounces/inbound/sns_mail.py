"""Parse notifications of Amazon SES that SNS sends by mail: JSON in the mail's text.

SNS sends the notification in its envelope (protocol "email-json") or alone, with a footer below it
("email"). The mail proves nothing by itself; the signed return path and the Message-ID inside do.
"""

import json
from datetime import datetime
from email.message import Message

from service.bounces.inbound.bounce_mail import BouncedRecipient, BounceMail
from service.bounces.inbound.mime_parts import header_text, plain_text
from service.bounces.inbound.webhooks import WebhookUnreadable, parse_webhook
from service.deliveries.domain.states import BounceVerdict

# Mail servers fold long lines, in the middle of a string as well.
_DECODER = json.JSONDecoder(strict=False)


def is_from_sns(headers: Message) -> bool:
    """Return whether a mail claims to be a notification of SNS."""
    return bool(header_text(headers, "X-Amz-Sns-Message-Id"))


def parse_sns_mail(message: Message, key: str, sent_at: datetime | None) -> BounceMail:
    """Return the bounces, complaints and arrivals in a notification; none where it has no JSON."""
    value = _find_object(plain_text(message))
    if isinstance(value, dict) and isinstance(value.get("Message"), str):
        value = _find_object(value["Message"])
    try:
        notices = parse_webhook("ses", value).notices if isinstance(value, dict) else ()
    except WebhookUnreadable:
        notices = ()
    recipients = tuple(
        BouncedRecipient(one.address, one.verdict, one.code, one.detail, weight=one.weight)
        for one in notices
    )
    return BounceMail(
        verdict=recipients[0].verdict if recipients else BounceVerdict.NOT_A_BOUNCE,
        recipients=recipients,
        sent_to=tuple(dict.fromkeys(path for one in notices for path in one.return_paths)),
        message_ids=tuple(dict.fromkeys(i for one in notices for i in one.message_ids if i)),
        key=key,
        sent_at=sent_at,
        is_automatic=True,
    )


def _find_object(text: str) -> object:
    """Return the first JSON value in braces in a text; None where there is none."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        value: object = _DECODER.raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        return None
    return value
