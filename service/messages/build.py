"""Building the message of a claimed delivery, from data that was read before."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from service.deliveries.domain.digest import Digest
from service.deliveries.domain.digest_json import digest_to_json, find_updates, parse_waits
from service.deliveries.domain.return_path import (
    Leaving,
    make_return_path,
    make_unsubscribe_address,
)
from service.deliveries.domain.states import OPERATOR_KINDS, DeliveryKind
from service.deliveries.store.claimed_rows import Claim, DeliveryView, RecipientView
from service.messages.contexts.digest import DigestContext, DigestUpdate
from service.messages.contexts.transactional import MailContext
from service.messages.digest_period import delivery_days, missed_days
from service.messages.domain.errors import MailError
from service.messages.edition_data import EditionDataCache
from service.messages.identity import brand_of, signer_of
from service.messages.mime.addresses import ascii_address, wire_address
from service.messages.mime.archive_copy import ArchivedMail, copy_mail
from service.messages.mime.mime import (
    LIST_KINDS,
    Envelope,
    MessageHeaders,
    build_message,
    message_id,
)
from service.messages.rendering.renderer import RenderedMail, Renderer
from service.messages.signed_links import archived_links, paper_links, signed_url, subscriber_links
from service.messages.transactional import operator_context, transactional_context
from service.papers.domain.types import PaperView
from service.platform.caches import cached
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.presentation.waits import waits_line

_POSTMARK = ".postmarkapp.com"


@dataclass(frozen=True, slots=True)
class BuiltMail:
    """A message ready to send. `copy` is for the browser, and only digests have one."""

    envelope: Envelope
    message_id: str
    attempt: int
    copy: ArchivedMail | None = None


def build_mail(
    claim: Claim, editions: EditionDataCache, settings: Settings, renderer: Renderer, now: datetime
) -> BuiltMail:
    """Return the message of a claimed row; `editions` has the data that messages share.

    Raises `RenderError`, `MailTooLarge` or `HeaderError` (all `MailError`), each with a one-line
    reason; only this row fails.
    """
    delivery = claim.delivery
    number, kind = delivery.id, delivery.kind
    to, context, unsubscribe = _address(claim, editions, settings)
    rendered = render_mail(kind, context, settings, renderer)
    domain = settings.envelope_domain
    identity = message_id(kind, number, settings.secret_key[0].encode(), domain)
    headers = MessageHeaders(
        sender=settings.mail_from,
        to=to,
        message_id=identity,
        date=now,
        kind=kind,
        reply_to=settings.reply_to,
        list_id=_list_id(settings.brand_name, domain),
        unsubscribe_url=unsubscribe,
        unsubscribe_address=_unsubscribe_address(claim, settings),
        feedback_id=_feedback_of(claim, context, settings),
        is_for_postmark=any(_POSTMARK in url for url in settings.smtp_url),
    )
    payload = build_message(rendered, headers)
    signer = signer_of(settings)
    if signer is not None:
        payload = signer.sign(payload, now)
    sender = ascii_address(_envelope_sender(settings, number), "From")
    envelope = Envelope(number, sender, wire_address(to), payload, is_wire=True)
    copy = None
    if isinstance(context, DigestContext):
        copy = copy_mail(rendered, archived_links(context.links))
    return BuiltMail(envelope, identity, delivery.attempt, copy)


def _address(
    claim: Claim, editions: EditionDataCache, settings: Settings
) -> tuple[str, MailContext, str | None]:
    """Return a row's recipient, its context and its unsubscribe link."""
    delivery, subscriber = claim.delivery, claim.subscriber
    if delivery.kind in OPERATOR_KINDS:
        if not settings.alert_to:
            raise MailError("PAPERBOY_ALERT_TO is not set any more")
        return _bare_address(settings.alert_to), operator_context(delivery, settings), None
    if subscriber is None:
        raise ValueError("a delivery without a subscriber must be skipped, not built")
    if delivery.kind in {DeliveryKind.DIGEST, DeliveryKind.CATCH_UP}:
        digest = digest_context(delivery, subscriber, editions, settings)
        return subscriber.email, digest, digest.links.unsubscribe
    context = transactional_context(delivery, subscriber, editions, settings)
    url = signed_url(settings, Purpose.UNSUBSCRIBE, subscriber, delivery.created_at)
    return subscriber.email, context, url


def render_mail(
    kind: DeliveryKind, context: MailContext, settings: Settings, renderer: Renderer
) -> RenderedMail:
    """Render a mail; a digest is shortened until it fits in `digest_max_bytes`."""
    if isinstance(context, DigestContext):
        return renderer.fit(context, settings.digest_max_bytes)
    return renderer.render(kind, context)


def digest_context(
    delivery: DeliveryView,
    subscriber: RecipientView,
    editions: EditionDataCache,
    settings: Settings,
) -> DigestContext:
    """Return the context of a digest or catch-up, from a row whose data `editions` has."""
    created_at, subscriber_id = delivery.created_at, subscriber.id
    digest = _NOTHING if delivery.digest is None else delivery.digest
    edition_id = delivery.edition_id or 0
    entries = editions.entries_of(edition_id, settings, subscriber)
    topics = editions.topics.get(subscriber_id, ())
    of_edition = editions.days(edition_id)
    days = delivery_days(of_edition, digest) if of_edition else missed_days(delivery, subscriber)
    joined_at = subscriber.confirmed_at or subscriber.created_at
    return DigestContext(
        cadence=days.cadence,
        local_date=days.until,
        since=days.since,
        covers=days.covers,
        remarks=days.remarks,
        coverage=days.coverage,
        groups=entries.parse_groups(digest),
        also=entries.parse_also(digest),
        links=subscriber_links(settings, subscriber, delivery.id, created_at),
        topics=tuple([topic.name for topic in topics]),
        subscribed_on=joined_at.date(),
        operator_address=settings.operator_address,
        full_cards=subscriber.full_cards,
        locale=subscriber.locale,
        brand=brand_of(settings),
        updates=_updates(digest, editions.papers, settings),
        cut_count=len(digest["cut"]),
        silence=digest.get("silence", ""),
        note=days.note if settings.edition_notes else "",
        waits=waits_line(parse_waits(digest)) if "waits" in digest else "",
    )


_NOTHING = digest_to_json(Digest(()))


def _updates(
    digest: Mapping[str, Any], papers: Mapping[int, PaperView], settings: Settings
) -> tuple[DigestUpdate, ...]:
    return tuple(
        DigestUpdate(
            title=papers[update.paper_id].title,
            url=paper_links(settings, papers[update.paper_id]).abstract,
            kind=update.kind,
            detail=update.detail,
        )
        for update in find_updates(digest)
        if update.paper_id in papers
    )


def _envelope_sender(settings: Settings, delivery_id: int) -> str:
    """Return the signed return path; the From address where no bounce domain is set."""
    if not settings.bounce_domain:
        return _bare_address(settings.mail_from)
    return make_return_path(delivery_id, settings.bounce_domain, settings.secret_key[0])


def _unsubscribe_address(claim: Claim, settings: Settings) -> str:
    """Return the signed address for List-Unsubscribe; empty where nobody would read its mail."""
    if claim.subscriber is None or claim.delivery.kind not in LIST_KINDS:
        return ""
    if not settings.reads_bounce_domain:
        return ""
    return make_unsubscribe_address(
        Leaving(claim.subscriber.id, claim.subscriber.link_key),
        settings.bounce_domain,
        settings.secret_key[0],
    )


def _feedback_of(claim: Claim, context: MailContext, settings: Settings) -> str:
    """Return the Feedback-ID of a mail to a subscriber; mails to the operator have none."""
    delivery = claim.delivery
    if claim.subscriber is None:
        return ""
    if isinstance(context, DigestContext):
        name, on = str(context.cadence), context.local_date
    else:
        name, on = "single", delivery.created_at.date()
    return _feedback_id(on, name, delivery.kind, settings.from_domain)


@cached("feedback ids", maxsize=64)
def _feedback_id(on: date, name: str, kind: DeliveryKind, domain: str) -> str:
    """Return `20260918:daily:digest:exampleorg`: the day, the cadence, the kind and the sender.

    Gmail counts spam reports by each of the four and shows them in its Postmaster Tools. All mails
    of an edition share one, so it identifies nobody; the sender needs 5 to 15 characters.
    """
    sender = re.sub(r"[^a-z0-9]", "", domain.lower())
    return f"{on:%Y%m%d}:{name}:{kind}:{sender[:15]:x<5}"


@cached("list names", maxsize=16)
def _list_id(brand: str, domain: str) -> str:
    """Return the List-Id; characters of the brand that would end its name are removed."""
    name = " ".join(brand.translate(_NOT_IN_NAME).split())
    return f"{name} digests <digest.{domain}>"


_NOT_IN_NAME = str.maketrans("", "", '<>"\\()')


def _bare_address(mailbox: str) -> str:
    """`Paperboy <digest@example.org>` -> `digest@example.org`."""
    return mailbox.rpartition("<")[2].rstrip("> ") if "<" in mailbox else mailbox.strip()
