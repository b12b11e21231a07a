"""Browser copies of digests: stored before sending, shown byte for byte as they were sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from service.deliveries.domain.digest import DigestEntry
from service.deliveries.domain.months import SINGLE, month_of_id
from service.deliveries.store import sent_copies
from service.deliveries.store.claimed_rows import DeliveryView, RecipientView
from service.deliveries.store.sent_copies import PartNumbers
from service.messages.build import BuiltMail, digest_context, render_mail
from service.messages.contexts.digest import DigestSection
from service.messages.edition_data import EditionDataCache
from service.messages.mime.archive_copy import (
    BROKEN_RECIPE,
    ArchivedMail,
    hash_copy,
    needed_numbers,
    restore_copy,
    write_recipe,
)
from service.messages.rendering.fragments import Fragment
from service.messages.rendering.renderer import Renderer
from service.messages.signed_links import archived_links, subscriber_links
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings

MORE_TITLE = "More that matched"

log = get_logger(__name__)


def store_copies(
    session: Session, built: Sequence[BuiltMail], editions: EditionDataCache, now: datetime
) -> PartNumbers:
    """Store the copies of `built`, in the transaction that puts the messages in flight.

    Returns the numbers of new shared fragments by key. Add them to `editions.stored_parts` only
    after the transaction is committed.
    """
    stored = editions.stored_parts
    months: dict[int, list[tuple[int, ArchivedMail]]] = {}
    for mail in built:
        if mail.copy is not None:
            number = mail.envelope.number
            months.setdefault(month_of_id(number), []).append((number, mail.copy))
    new: PartNumbers = {}
    rows: list[sent_copies.CopyRow] = []
    for month, copies in sorted(months.items()):
        known = stored.get(month, {})
        recipes: dict[int, bytes] = {}
        late: list[tuple[int, ArchivedMail]] = []
        for number, copy in copies:
            try:
                recipes[number] = write_recipe(copy, known)
            except KeyError:
                late.append((number, copy))
        if late:
            # Some shared fragments have no number yet, which gets rare in the course of an edition.
            missing = _missing_parts(late, known)
            found = sent_copies.number_parts(session, month, missing, now)
            # With the keys of the fragments themselves, which are compared by identity.
            numbers = {key: found[key] for key in missing}
            # Those of no month are stored each time, because that renews them.
            if month != SINGLE:
                new[month] = numbers
            names = {**known, **numbers}
            recipes |= {number: write_recipe(copy, names) for number, copy in late}
        rows += [
            sent_copies.CopyRow(number, copy.content_hash, recipes[number])
            for number, copy in copies
        ]
    sent_copies.upsert_copies(session, rows, now)
    return new


def _missing_parts(
    copies: Iterable[tuple[int, ArchivedMail]], known: Mapping[bytes, int]
) -> dict[bytes, bytes]:
    """Return the bodies of the copies' shared fragments that have no number yet, by key."""
    missing: dict[bytes, Fragment] = {}
    for _, copy in copies:
        for fragment, _ in copy.part.fragments:
            if fragment.key and fragment.key not in known:
                missing.setdefault(fragment.key, fragment)
    return {key: one.plain for key, one in missing.items()}


def sent_html(
    session: Session, delivery: DeliveryView, subscriber: RecipientView, settings: Settings
) -> bytes | None:
    """Return the HTML part of a sent digest, byte for byte; None without a complete copy.

    Its links are signed again, with each of our keys: with the one that signed them the hash is right.
    """
    row = sent_copies.get_copy(session, delivery.id)
    if row is None:
        return None
    try:
        numbers = needed_numbers(row.recipe)
        shared = sent_copies.get_parts(session, month_of_id(delivery.id), numbers)
        for key in settings.secret_key:
            signing = settings.model_copy(update={"secret_key": (key,)})
            links = subscriber_links(signing, subscriber, delivery.id, delivery.created_at)
            part = restore_copy(row.recipe, shared, archived_links(links))
            if hash_copy(part.wire) == row.content_hash:
                return part.body
    except BROKEN_RECIPE:
        pass  # As one whose hash is wrong.
    log.error("copy.broken", delivery_id=delivery.id)
    return None


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
    more = tuple(entries.take(cut))
    context = replace(context, most_updates=len(context.updates))
    if more:
        groups = (*context.groups, DigestSection(title=MORE_TITLE, papers=more))
        context = replace(context, groups=groups, cut_count=0)
    return renderer.render(context.kind, context).html_part.body
