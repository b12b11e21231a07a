"""Notices: reported bounces, complaints and arrivals, in one form for mails and webhooks."""

from dataclasses import dataclass, replace
from datetime import datetime

from service.bounces.inbound.bounce_mail import BounceMail
from service.deliveries.domain.states import BounceVerdict
from service.platform.one_line import normalise_line


@dataclass(frozen=True, slots=True)
class BounceNotice:
    """A reported event, with the values that may attribute it to a delivery of ours.

    `key` identifies the event on all channels. `return_paths` may hold a signed return path and
    `message_ids` one of our Message-IDs; `address` alone proves nothing.
    """

    key: str
    verdict: BounceVerdict
    address: str = ""
    weight: int = 0
    code: str = ""
    detail: str = ""
    return_paths: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    occurred_at: datetime | None = None


def notices_of_mail(mail: BounceMail, receivers: tuple[str, ...] = ()) -> tuple[BounceNotice, ...]:
    """Return the notices of a mail; `receivers` are the envelope's, more reliable than headers.

    A mail without addresses (complaints are redacted) is one notice with an empty address.
    """
    whole = BounceNotice(
        key=f"mail:{mail.key}.0",
        verdict=mail.verdict,
        return_paths=tuple(dict.fromkeys((*receivers, *mail.sent_to))),
        message_ids=mail.message_ids,
        occurred_at=mail.sent_at,
    )
    if not mail.recipients:
        return (whole,)
    return tuple(
        replace(
            whole,
            key=f"mail:{mail.key}.{number}",
            verdict=recipient.verdict,
            address=normalise_line(recipient.address),
            weight=recipient.weight,
            code=recipient.code,
            detail=normalise_line(recipient.reply),
        )
        for number, recipient in enumerate(mail.recipients)
        # A report on how our mail was authenticated says nothing about its delivery.
        if not (recipient.action == "feedback" and recipient.verdict is not BounceVerdict.COMPLAINT)
    )
