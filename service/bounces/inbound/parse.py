"""Parse bounces (RFC 3464 or free-form), complaints (RFC 5965) and auto-replies.

`parse_bounce` is pure: bytes in, a value out. The value proves nothing, since anybody can write
such a mail; `service.deliveries.domain.return_path` and our own Message-IDs do.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from hashlib import sha256

from service.bounces.inbound.bounce_mail import BouncedRecipient, BounceMail
from service.bounces.inbound.freeform import ADDRESS, find_addresses, text_about
from service.bounces.inbound.mime_parts import Parts, header_text, split_message
from service.bounces.inbound.sns_mail import is_from_sns, parse_sns_mail
from service.deliveries.domain.refusal_words import Names
from service.deliveries.domain.refusals import Refusal, classify_refusal
from service.deliveries.domain.states import BounceVerdict
from service.platform import linear_regex
from service.platform.one_line import normalise_line

V = BounceVerdict

# Actions that are no failures (RFC 3464 §2.3.3); the non-standard `error` and `expired` are.
_NOT_OVER = ("delayed", "delivered", "deliverable", "relayed", "expanded")

# RFC 5965 §3.5 and the IANA registry: these are not a reader's complaint about our mail.
_FEEDBACK = {
    "not-spam": V.NOT_A_BOUNCE,
    "virus": V.CONTENT,
    "auth-failure": V.CONFIGURATION,
    "dmarc": V.CONFIGURATION,
}
_BOUNCE_SUBJECT = linear_regex.compile(
    r"(?i)undeliver|not deliver|n't deliver|non.?deliver|unzustellbar|non remis|returned? (?:mail|message|to sender|e-?mail)"
    r"|deliver\w* (?:\w+ ){0,3}(?:fail|status|report|problem|error|delay|notif|unsuccess|incomplete)|fail\w* (?:\w+ ){0,2}(?:deliver|notice|mail|notif)"
    r"|mail (?:delivery )?(?:system|error|fail|status)|message (?:status|undeliver|deliver|not sent|returned|error|could)"
    r"|(?:user|address|recipient|mailbox) (?:unknown|not found|full|unavailable)|unknown (?:user|address|recipient)|bounce|nondeliverable|could not (?:be )?(?:deliver|sen[dt])|error sending|unable to deliver|(?:delivery|mail) warning|quota|mail could not|rejected"
)
_BOUNCE_SENDER = linear_regex.compile(
    r"(?i)mailer-?daemon|post ?master|mail ?delivery|mail ?system|mail-?daemon|mdaemon|post[._-]master|<>|\bmailer\b|bounce|mail ?administrator|delivery ?(?:status|subsystem)|system administrator|sysadmin|smtp|\bmta\b|daemon|spam.?filter"
)
_REPLY_SUBJECT = linear_regex.compile(
    r"(?i)^(?:re: ?)?(?:auto(?:matic|mated)?[ -:]|out of (?:the )?office|vacation|away from|on (?:leave|holiday|vacation)|abwesen|automatisch|absen[ct]|r[ée]ponse automatique|respuesta autom|i am (?:away|out)|not (?:in|at) (?:the )?office)"
)
_STILL_TRYING = linear_regex.compile(
    r"(?i)(?:still be(?:ing)? (?:re)?tr|will (?:be |continue |keep |still |try |to )+(?:re)?(?:tr|attempt|deliver|sen)|do(?:es)? not need to resend|don't need to resend|no action is required"
    r"|warning (?:message )?only|delivery (?:of your message )?(?:has been |is |was )?delayed|message (?:has been |is )?delayed|not been delivered yet|has not yet been|will be retried|temporarily deferred|keep trying|further attempts|delivery attempts will continue)"
)
_GIVEN_UP = linear_regex.compile(
    r"(?i)permanent (?:error|failure|fatal)|fatal error|giv(?:en|ing) up|gave up|will not be retried|no further (?:attempt|delivery)|not going to try"
)
_DIAGNOSTIC_TYPE = linear_regex.compile(r"^[\w-]{1,20} ?; ?")
_MESSAGE_ID = linear_regex.compile(r"<[^<>\s]{3,250}>")
# Phrases of bounces that have neither a known sender nor a known subject.
_SAYS_FAILED = linear_regex.compile(
    r"(?i)(?:could|can|was|were|has|have|may|did)(?: ?not|n't|not)(?: be| been)? (?:be )?(?:deliver|reach|sen[dt]|receive)|undeliverable|delivery (?:has )?failed|returned to (?:you|sender)|error message below|following (?:error|recipient|address)"
)


def parse_bounce(raw: bytes) -> BounceMail:
    """Parse a mail of any kind. Raises `NotReadable` for too large a size or too many parts."""
    parts = split_message(raw)
    if is_from_sns(parts.headers):
        return parse_sns_mail(parts.headers, _key_of(raw, parts.headers), _date_of(parts.headers))
    recipients = _parse_recipients(parts)
    verdict = recipients[0].verdict if recipients else _verdict_without_address(parts)
    return BounceMail(
        verdict=verdict,
        recipients=recipients,
        sent_to=tuple(_addresses_in(parts.headers, _SENT_TO)),
        message_ids=tuple(_quoted_ids(parts)),
        key=_key_of(raw, parts.headers),
        sent_at=_date_of(parts.headers),
        is_automatic=_is_automatic(parts),
    )


# Headers in which servers note a mail's recipient, the most reliable first.
_SENT_TO = ("X-Original-To", "Envelope-To", "X-Envelope-To", "Delivered-To", "X-Delivered-To", "To")


def _addresses_in(message: Message, names: Iterable[str]) -> dict[str, None]:
    values = [str(value) for name in names for value in message.get_all(name, [])]
    return dict.fromkeys(address for value in values for address in ADDRESS.findall(value[:4000]))


# Headers that name us as the sender, in the bounce and in the mail that it returns.
_OUR_HEADERS = ("To", "Delivered-To", "Envelope-To")
_OUR_HEADERS_RETURNED = ("From", "Sender", "Return-Path", "Reply-To")


def _our_names(parts: Parts) -> frozenset[str]:
    """Return our addresses and their domains, in lower case, as the mail has them."""
    found = dict(_addresses_in(parts.headers, _OUR_HEADERS))
    if parts.returned is not None:
        found |= _addresses_in(parts.returned, _OUR_HEADERS_RETURNED)
    addresses = {address.lower() for address in found}
    return frozenset(addresses | {address.rpartition("@")[2] for address in addresses})


def _parse_recipients(parts: Parts) -> tuple[BouncedRecipient, ...]:
    if _is_complaint(parts):
        return _parse_complaint(parts)
    if parts.blocks:
        ours = _our_names(parts)
        parsed = [_parse_block(block, parts.letter, ours) for block in parts.blocks]
        known = {item.address: item for item in reversed(parsed) if item is not None}
        if known:
            return tuple(reversed(known.values()))
    if _is_auto_reply(parts) or not _is_bounce(parts):
        return ()
    return _parse_letter(parts)


def _parse_block(block: Message, letter: str, ours: frozenset[str]) -> BouncedRecipient | None:
    """Return one recipient of a delivery status (RFC 3464 §2.3)."""
    headers = ("Original-Recipient", "X-Actual-Recipient", "Final-Recipient")
    values = [header_text(block, name) for name in headers]
    # `X-Actual-Recipient` may hold any text, which is skipped unless it contains an address.
    found = [ADDRESS.findall(value.partition(";")[2] or value) for value in values]
    names = [addresses[0] for addresses in found if addresses]
    if not names:
        return None
    action = header_text(block, "Action").lower().partition(" ")[0].partition("(")[0]
    # Some servers put the reason into a comment beside the code.
    status, _, comment = header_text(block, "Status").partition("(")
    reply = _DIAGNOSTIC_TYPE.sub("", header_text(block, "Diagnostic-Code"))
    reply = reply or comment.rstrip(") ")
    address, aliases = names[0], tuple(dict.fromkeys(names[1:]))
    if action.startswith(_NOT_OVER) or (not action and status.startswith("2")):
        return BouncedRecipient(
            address, V.NOT_A_BOUNCE, status[:12], reply, action, aliases=aliases
        )
    about = Names(address.lower(), ours)
    refusal = asdict(classify_refusal(status, reply, letter, about))
    text = reply or _excerpt(letter)
    return BouncedRecipient(address, reply=text, action=action, aliases=aliases, **refusal)


def _parse_letter(parts: Parts) -> tuple[BouncedRecipient, ...]:
    """Return the recipients of a free-form bounce."""
    # X-Original-To is left out, because some programs name the failed address in it.
    names = ("To", "Delivered-To", "Envelope-To", "From", "Sender", "Reply-To")
    ours = frozenset(address.lower() for address in _addresses_in(parts.headers, names))
    found = find_addresses(parts.letter, parts.sample, parts.returned, ours)
    is_waiting = bool(_STILL_TRYING.search(parts.letter)) and not _GIVEN_UP.search(parts.letter)
    delay, action = (Refusal(V.NOT_A_BOUNCE), "delayed") if is_waiting else (None, "")
    recipients, ours_there = [], _our_names(parts)
    for address in found:
        others = tuple(other for other in found if other != address)
        piece = text_about(parts.letter, address, others)
        about = Names(address.lower(), ours_there)
        refusal = delay or classify_refusal("", piece, parts.letter, about)
        read = BouncedRecipient(address, reply=_excerpt(piece), action=action, **asdict(refusal))
        recipients.append(read)
    return tuple(recipients)


def _is_complaint(parts: Parts) -> bool:
    """Return whether the mail is a feedback report (ARF), or a large provider's equivalent.

    Outlook's junk reports are no ARF but an enclosed mail with a header of their own; Apple's "stop
    this mail" is an ordinary mail to the sender's address.
    """
    hotmail = "X-HmXmrOriginalRecipient"
    is_enclosed = parts.returned is not None and bool(parts.returned.get(hotmail))
    is_apple = header_text(parts.headers, "X-Apple-Unsubscribe").lower() == "true"
    return parts.feedback is not None or is_enclosed or is_apple


def _parse_complaint(parts: Parts) -> tuple[BouncedRecipient, ...]:
    """Return the recipients of a feedback report, often none, since they are redacted."""
    kind = _feedback_kind(parts)
    named: dict[str, None] = {}
    if parts.feedback is not None:
        named |= _addresses_in(parts.feedback, ("Original-Rcpt-To", "Removal-Recipient"))
    if parts.returned is not None:
        named |= _addresses_in(parts.returned, ("X-HmXmrOriginalRecipient",))
        named = named or _addresses_in(parts.returned, ("To",))
    elif parts.feedback is None:
        named |= _addresses_in(parts.headers, ("From",))
    verdict = _FEEDBACK.get(kind, V.COMPLAINT)
    return tuple(
        BouncedRecipient(address, verdict, reply=kind, action="feedback") for address in named
    )


def _feedback_kind(parts: Parts) -> str:
    default = "abuse" if parts.returned is not None else "opt-out"
    return header_text(parts.feedback, "Feedback-Type").lower() or default


def _verdict_without_address(parts: Parts) -> BounceVerdict:
    if _is_complaint(parts):
        return _FEEDBACK.get(_feedback_kind(parts), V.COMPLAINT)
    if _is_auto_reply(parts):
        return V.AUTO_REPLY
    if _is_bounce(parts):
        return classify_refusal("", parts.letter).verdict
    return V.NOT_A_BOUNCE


def _is_auto_reply(parts: Parts) -> bool:
    """Return whether the mail is an auto-reply (RFC 3834), which proves that our mail arrived.

    Servers mark their bounces as automatic, too, so mails from servers are excluded.
    """
    headers = parts.headers
    if parts.blocks or headers.get("X-Failed-Recipients") or _is_from_server(headers):
        return False
    marked = header_text(headers, "Auto-Submitted").lower().startswith("auto-replied")
    names = ("X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Reply", "X-Autogenerated")
    is_old = header_text(headers, "Precedence").lower() in {"auto_reply", "auto-reply"}
    subject = header_text(headers, "Subject")
    return marked or is_old or any(map(headers.get, names)) or bool(_REPLY_SUBJECT.search(subject))


def _is_automatic(parts: Parts) -> bool:
    """Return whether a mail is an auto-reply or a report, judged without words and senders.

    `auto-generated` (RFC 3834 §5) is no reply: a button may have sent the mail for a person.
    """
    headers = parts.headers
    is_report = headers.get_content_type() == "multipart/report" or bool(parts.blocks)
    is_null = header_text(headers, "Return-Path") == "<>"
    marks = ("auto-replied", "auto-notified")
    is_marked = header_text(headers, "Auto-Submitted").lower().startswith(marks)
    return is_report or is_null or is_marked or _is_auto_reply(parts)


def _is_from_server(headers: Message) -> bool:
    sender = " ".join(header_text(headers, name) for name in ("From", "Sender"))
    return bool(_BOUNCE_SENDER.search(sender))


def _is_bounce(parts: Parts) -> bool:
    headers = parts.headers
    if parts.blocks or headers.get("X-Failed-Recipients"):
        return True
    if headers.get_content_type() == "multipart/report":
        return True
    if _BOUNCE_SUBJECT.search(header_text(headers, "Subject")) or _is_from_server(headers):
        return True
    is_null = header_text(headers, "Return-Path") == "<>"
    return bool((parts.returned or is_null) and _SAYS_FAILED.search(parts.letter[:4000]))


def _quoted_ids(parts: Parts) -> dict[str, None]:
    """Return the Message-IDs of the mail that this one is about."""
    values = [header_text(parts.returned, "Message-ID")]
    values += [header_text(parts.headers, name) for name in ("In-Reply-To", "References")]
    found = [match for value in values for match in _MESSAGE_ID.findall(value)]
    return dict.fromkeys(found[:20])


def _key_of(raw: bytes, headers: Message) -> str:
    """Return a hash of the mail's Message-ID, or of its body without one, as 32 hex digits."""
    identity = header_text(headers, "Message-ID")
    if not identity:
        body = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").partition(b"\n\n")[2]
        identity = sha256(body).hexdigest()
    return sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]


def _date_of(headers: Message) -> datetime | None:
    try:
        moment = parsedate_to_datetime(header_text(headers, "Date"))
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        return None


def _excerpt(text: str) -> str:
    """Return the beginning of a text on one line, for the record."""
    return normalise_line(text)[:500]
