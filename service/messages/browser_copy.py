"""Browser copies of digests: stored before sending, shown byte for byte as they were sent."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from sqlalchemy.orm import Session

from service.deliveries.domain.digest import DigestEntry
from service.deliveries.domain.months import SINGLE, month_of_id
from service.deliveries.store import sent_copies
from service.deliveries.store.claimed_rows import DeliveryView, RecipientView
from service.deliveries.store.sent_copies import PartKey
from service.messages.build import BuiltMail, digest_context, render_mail
from service.messages.contexts.digest import DigestSection
from service.messages.edition_data import EditionDataCache
from service.messages.mime.archive_copy import restore_copy, shared_keys
from service.messages.rendering.renderer import Renderer
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings

MORE_TITLE = "More that matched"

log = get_logger(__name__)


def store_copies(
    session: Session, built: Sequence[BuiltMail], editions: EditionDataCache, now: datetime
) -> frozenset[PartKey]:
    """Store the copies of `built`, in the transaction that puts the messages in flight.

    Returns the keys of the new shared fragments. Add them to `editions.stored_parts` only after the
    transaction is committed.
    """
    rows: list[sent_copies.CopyRow] = []
    parts: dict[PartKey, bytes] = {}
    for mail in built:
        if mail.copy is not None:
            number, content_hash = mail.envelope.number, mail.copy.content_hash
            rows.append(sent_copies.CopyRow(number, content_hash, mail.copy.recipe))
            month = month_of_id(number)
            parts |= {(month, key): body for key, body in mail.copy.shared.items()}
    new = {key: body for key, body in parts.items() if key not in editions.stored_parts}
    sent_copies.insert_parts(session, new, now)
    sent_copies.upsert_copies(session, rows, now)
    # Those of no month are stored each time, because that renews them.
    return frozenset(key for key in new if key[0] != SINGLE)


def sent_html(session: Session, delivery_id: int) -> bytes | None:
    """Return the HTML part of a sent digest, byte for byte; None without a complete copy."""
    row = sent_copies.get_copy(session, delivery_id)
    if row is None:
        return None
    try:
        keys = shared_keys(row.recipe)
        shared = sent_copies.get_parts(session, month_of_id(delivery_id), keys)
        html = restore_copy(row.recipe, shared)
    except KeyError:
        html = b""
    if sha256(html).digest() != row.content_hash:
        log.error("copy.broken", delivery_id=delivery_id)
        return None
    return html


def unsent_html(
    delivery: DeliveryView,
    subscriber: RecipientView,
    editions: EditionDataCache,
    settings: Settings,
    renderer: Renderer,
) -> bytes:
    """Return the HTML part of a digest that has not been sent yet."""
    context = digest_context(delivery, subscriber, editions, settings)
    return render_mail(context.kind, context, settings, renderer).html_part.body


def uncut_html(
    delivery: DeliveryView,
    subscriber: RecipientView,
    editions: EditionDataCache,
    settings: Settings,
    renderer: Renderer,
) -> bytes:
    """Return the HTML of a digest with the papers that were cut from the mail."""
    context = digest_context(delivery, subscriber, editions, settings)
    cut = [DigestEntry(paper_id) for paper_id in (delivery.digest or {}).get("cut", ())]
    entries = editions.entries_of(delivery.edition_id or 0, settings, subscriber)
    more = tuple(entries.take(cut, MORE_TITLE))
    context = replace(context, most_updates=len(context.updates))
    if more:
        groups = (*context.groups, DigestSection(title=MORE_TITLE, papers=more))
        context = replace(context, groups=groups, cut_count=0)
    return renderer.render(context.kind, context).html_part.body
