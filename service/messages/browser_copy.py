"""Digests as they were sent, for the browser: kept before the wire, shown byte for byte."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from sqlalchemy.orm import Session

from service.deliveries.domain.digest import DigestEntry
from service.deliveries.store.claimed_rows import DeliveryView, RecipientView
from service.deliveries.store.sent_copies import (
    CopyRow,
    get_copy,
    get_parts,
    insert_parts,
    upsert_copies,
)
from service.messages.build import BuiltMail, digest_context, render_mail
from service.messages.contexts.digest import DigestSection
from service.messages.edition_data import EditionDataCache
from service.messages.mime.archive_copy import restore_copy, shared_keys
from service.messages.rendering.renderer import Renderer
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings

MORE_TITLE = "More that matched"

log = get_logger(__name__)


def keep_copies(
    session: Session, built: Sequence[BuiltMail], editions: EditionDataCache, now: datetime
) -> frozenset[bytes]:
    """Keep what is about to be sent, in the transaction that puts it into flight.

    Returns the names of the shared stretches that are new: `editions.kept_parts` may have them
    once the transaction is committed.
    """
    rows: list[CopyRow] = []
    parts: dict[bytes, bytes] = {}
    for one in built:
        if one.copy is not None:
            rows.append(CopyRow(one.envelope.number, one.copy.content_hash, one.copy.recipe))
            parts.update(one.copy.shared)
    new = {key: body for key, body in parts.items() if key not in editions.kept_parts}
    insert_parts(session, new)
    upsert_copies(session, rows, now)
    return frozenset(new)


def sent_html(session: Session, delivery_id: int) -> bytes | None:
    """The HTML part of a sent digest, byte for byte; None where no whole copy is kept."""
    row = get_copy(session, delivery_id)
    if row is None:
        return None
    try:
        html = restore_copy(row.recipe, get_parts(session, shared_keys(row.recipe)))
    except KeyError:
        html = b""
    if sha256(html).digest() != row.content_hash:
        log.error("copy.broken", delivery_id=delivery_id)
        return None
    return html


def page_html(
    delivery: DeliveryView,
    subscriber: RecipientView,
    editions: EditionDataCache,
    settings: Settings,
    renderer: Renderer,
) -> bytes:
    """A digest that was not sent yet, as it would be."""
    context = digest_context(delivery, subscriber, editions, settings)
    return render_mail(context.kind, context, settings, renderer).html_part.body


def whole_html(
    delivery: DeliveryView,
    subscriber: RecipientView,
    editions: EditionDataCache,
    settings: Settings,
    renderer: Renderer,
) -> bytes:
    """A digest with the papers for which the mail had no room; a page has no limit."""
    context = digest_context(delivery, subscriber, editions, settings)
    cut = [DigestEntry(paper_id) for paper_id in (delivery.digest or {}).get("cut", ())]
    entries = editions.entries_of(delivery.edition_id or 0, settings)
    more = tuple(entries.take(cut, MORE_TITLE))
    context = replace(context, most_updates=len(context.updates))
    if more:
        groups = (*context.groups, DigestSection(title=MORE_TITLE, papers=more))
        context = replace(context, groups=groups, cut_count=0)
    return renderer.render(context.kind, context).html_part.body
