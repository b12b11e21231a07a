"""What a mail to the bounce address says, as a value: its recipients, its proof, its key."""

from dataclasses import dataclass
from datetime import datetime

from service.deliveries.domain.states import BounceVerdict


@dataclass(frozen=True, slots=True)
class BouncedRecipient:
    """A failed (or delayed, or complaining) address in a mail.

    `address` is the one that we used (Original-Recipient where given), `aliases` the ones it was
    forwarded to. `reply` is the refusing server's text. `action` is RFC 3464's keyword in lower
    case, empty where none was given. `weight`: see `service.deliveries.domain.refusals.Refusal`.
    """

    address: str
    verdict: BounceVerdict
    code: str = ""
    reply: str = ""
    action: str = ""
    weight: int = 0
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BounceMail:
    """A parsed mail to the bounce address.

    `verdict` is that of its first recipient. `sent_to` are the addresses it was sent to, which may
    include our signed return path; `message_ids` are those of the mail that it is about. `key` is
    equal whenever the same mail comes again, by any channel. `is_automatic`: its headers mark it as
    an auto-reply (RFC 3834) or a server's report, so no person sent it.
    """

    verdict: BounceVerdict
    recipients: tuple[BouncedRecipient, ...]
    sent_to: tuple[str, ...]
    message_ids: tuple[str, ...]
    key: str
    sent_at: datetime | None = None
    is_automatic: bool = False
