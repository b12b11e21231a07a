"""One thing that somebody says came back, whoever says it: a mail, a provider, an operator."""

from dataclasses import dataclass
from datetime import datetime

from service.bounces.inbound.parse import BounceMail
from service.deliveries.domain.states import BounceVerdict
from service.platform.one_line import plain_words


@dataclass(frozen=True, slots=True)
class Notice:
    """What came back, and by which marks of ours it may be told whose it was.

    `key` tells this event from all others, by whatever channel it comes. `return_paths` may hold a signed return
    path and `message_ids` one of our Message-IDs; `address` is proof of nothing by itself.
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


def notices_of_mail(mail: BounceMail, receivers: tuple[str, ...] = ()) -> tuple[Notice, ...]:
    """The notices of a mail; `receivers` are the envelope's, which are surer than any header.

    A mail that names nobody (complaints are redacted) is one notice, if it speaks of some mail.
    """
    paths = tuple(dict.fromkeys((*receivers, *mail.sent_to)))
    told = [
        Notice(
            key=f"mail:{mail.key}.{number}",
            verdict=one.verdict,
            address=plain_words(one.address),
            weight=one.weight,
            code=one.code,
            detail=plain_words(one.reply),
            return_paths=paths,
            message_ids=mail.message_ids,
            occurred_at=mail.sent_at,
        )
        for number, one in enumerate(mail.recipients)
        # A report on how our mail was authenticated is no fate of the mail.
        if not (one.action == "feedback" and one.verdict is not BounceVerdict.COMPLAINT)
    ]
    if told or mail.recipients:
        return tuple(told)
    alone = Notice(
        key=f"mail:{mail.key}.0",
        verdict=mail.verdict,
        return_paths=paths,
        message_ids=mail.message_ids,
        occurred_at=mail.sent_at,
    )
    return (alone,)
