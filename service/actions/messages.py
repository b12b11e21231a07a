"""From a claimed row to the bytes for the wire: everything is read first, then built."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy.orm import Session

from service.actions.links import mute_url, paper_links, reader_links, signed_url
from service.config import Settings
from service.domain.digest import Digest, DigestEntry, digest_from_json
from service.domain.tokens import LIFETIME, Purpose
from service.domain.types import DeliveryKind, Paper
from service.mail.contexts import (
    AlreadySubscribedContext,
    ConfirmationContext,
    Coverage,
    DigestContext,
    DigestGroup,
    DigestHappening,
    DigestPaper,
    FarewellContext,
    MailContext,
    WelcomeContext,
)
from service.mail.headers import MessageHeaders, ascii_address, build_message, message_id
from service.mail.render import RenderedMail, Renderer
from service.mail.sentences import mutable_words
from service.mail.transport import Envelope
from service.store.editions import get_edition, get_edition_papers
from service.store.models import Delivery, Edition, Subscriber
from service.store.reading import get_papers
from service.store.sending import Claim
from service.store.subscribers import get_topics


@dataclass(slots=True)
class Shelf:
    """The papers of one edition as its mails show them: one value for all readers of a paper.

    Renderers know an entry again by its identity, so a card is written once and then joined.
    """

    papers: Mapping[int, Paper]
    late_ids: frozenset[int]
    settings: Settings
    placed: dict[tuple[DigestEntry, str | None], DigestPaper] = field(default_factory=dict)

    def take(
        self, entries: Iterable[DigestEntry], topic: str | None = None
    ) -> Iterator[DigestPaper]:
        """The entries whose papers still exist; without a topic, as suggestions."""
        for entry in entries:
            key = (entry, topic)
            if key not in self.placed and entry.paper_id in self.papers:
                self.placed[key] = self._place(entry, topic)
            if key in self.placed:
                yield self.placed[key]

    def _place(self, entry: DigestEntry, topic: str | None) -> DigestPaper:
        paper = self.papers[entry.paper_id]
        words = mutable_words(entry.reasons, topic or "")
        links = paper_links(self.settings, paper)
        if any(reason.field == "author" for reason in entry.reasons):
            links = dataclasses.replace(links, follow="")
        return DigestPaper(
            paper=dataclasses.replace(paper, is_late=entry.paper_id in self.late_ids),
            links=links,
            reasons=entry.reasons,
            maybe_seen=entry.is_maybe_seen,
            revision=entry.revision,
            mutes=tuple((word, mute_url("", 0, word)) for word in words),
            is_suggested=topic is None,
        )


@dataclass(slots=True)
class Materials:
    """What messages are made of, read once and kept for the following windows of a run."""

    editions: dict[int, Edition] = field(default_factory=dict)
    papers: dict[int, Paper] = field(default_factory=dict)
    late_ids: dict[int, frozenset[int]] = field(default_factory=dict)
    topics: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    shelves: dict[int, Shelf] = field(default_factory=dict)

    def shelf(self, edition_id: int, settings: Settings) -> Shelf:
        """The papers of an edition, each written once however many readers it goes to."""
        if edition_id not in self.shelves:
            late = self.late_ids.get(edition_id, frozenset())
            self.shelves[edition_id] = Shelf(self.papers, late, settings)
        return self.shelves[edition_id]


def gather_materials(session: Session, claims: Sequence[Claim], materials: Materials) -> None:
    """Read what these rows need and `materials` does not hold yet; topics are read afresh."""
    for edition_id in {c.delivery.edition_id for c in claims} - {None}:
        if edition_id is not None and edition_id not in materials.editions:
            edition = get_edition(session, edition_id)
            if edition is not None:
                materials.editions[edition_id] = edition
                late = get_edition_papers(session, edition_id)
                materials.late_ids[edition_id] = frozenset(
                    i for i, is_late in late.items() if is_late
                )
    wanted = {i for c in claims for i in _named_papers(c.delivery)} - materials.papers.keys()
    materials.papers.update(get_papers(session, wanted))
    materials.topics = get_topics(session, [c.subscriber.id for c in claims if c.subscriber])


def _named_papers(delivery: Delivery) -> list[int]:
    """Every paper that a delivery's digest names: those it brings, and those something befell."""
    told = (delivery.digest or {}).get("happenings", [])
    return [*delivery.paper_ids, *(one[0] for one in told)]


def build_envelope(
    claim: Claim, materials: Materials, settings: Settings, renderer: Renderer, now: datetime
) -> tuple[Envelope, str]:
    """The message of a claimed row, ready for the wire, and its Message-ID.

    Raises `RenderError`, `MailTooLarge` or `HeaderError` (all `MailError`), each with one line
    that says why; the row then fails alone.
    """
    delivery, reader = claim.delivery, claim.subscriber
    if reader is None:
        raise ValueError("a delivery without a reader must be skipped, not built")
    context = mail_context(delivery, reader, materials, settings)
    rendered = render_mail(delivery.kind, context, settings, renderer)
    identity = message_id(
        delivery.kind, delivery.id, settings.secret_key[0].encode(), settings.envelope_domain
    )
    headers = MessageHeaders(
        sender=settings.mail_from,
        to=reader.email,
        message_id=identity,
        date=now,
        kind=delivery.kind,
        reply_to=settings.reply_to,
        list_id=f"Paperboy digests <digest.{settings.envelope_domain}>",
        unsubscribe_url=signed_url(settings, Purpose.UNSUBSCRIBE, reader.id, delivery.created_at),
    )
    payload = build_message(rendered, headers)
    sender = ascii_address(_bare_address(settings.mail_from), "From")
    return Envelope(delivery.id, sender, ascii_address(reader.email), payload), identity


def render_mail(
    kind: DeliveryKind, context: MailContext, settings: Settings, renderer: Renderer
) -> RenderedMail:
    if isinstance(context, DigestContext):
        return renderer.fit(context, settings.digest_max_bytes)
    return renderer.render(kind, context)


def mail_context(
    delivery: Delivery, reader: Subscriber, materials: Materials, settings: Settings
) -> MailContext:
    """The typed context of a row's email."""
    issued_at = delivery.created_at
    home = f"{settings.base_url}/"
    if delivery.kind is DeliveryKind.DIGEST:
        return digest_context(delivery, reader, materials, settings)
    if delivery.kind is DeliveryKind.CONFIRMATION:
        lifetime = LIFETIME[Purpose.CONFIRM]
        return ConfirmationContext(
            confirm_url=signed_url(settings, Purpose.CONFIRM, reader.id, issued_at),
            never_url=signed_url(settings, Purpose.NEVER, reader.id, issued_at),
            home=home,
            operator_address=settings.operator_address,
            expires_days=lifetime.days if lifetime else 0,
        )
    preferences = signed_url(settings, Purpose.PREFERENCES, reader.id, issued_at)
    unsubscribe = signed_url(settings, Purpose.UNSUBSCRIBE, reader.id, issued_at)
    if delivery.kind is DeliveryKind.ALREADY_SUBSCRIBED:
        return AlreadySubscribedContext(
            preferences_url=preferences,
            unsubscribe_url=unsubscribe,
            home=home,
            operator_address=settings.operator_address,
        )
    if delivery.kind is DeliveryKind.FAREWELL:
        return FarewellContext(
            undo_url=unsubscribe, home=home, operator_address=settings.operator_address
        )
    return WelcomeContext(
        topics=tuple(text for text, _ in materials.topics.get(reader.id, [])),
        next_hour=reader.hour,
        timezone=reader.timezone,
        preferences=preferences,
        unsubscribe=unsubscribe,
        home=home,
        operator_address=settings.operator_address,
        cadence=reader.cadence,
    )


def digest_context(
    delivery: Delivery, reader: Subscriber, materials: Materials, settings: Settings
) -> DigestContext:
    edition = materials.editions[delivery.edition_id or 0]
    digest = digest_from_json(delivery.digest or {"groups": [], "cut": []})
    shelf = materials.shelf(edition.id, settings)
    return DigestContext(
        cadence=edition.cadence,
        local_date=edition.local_date,
        coverage=_coverage(edition),
        groups=tuple(
            DigestGroup(
                title=group.title,
                papers=tuple(shelf.take(group.entries, group.title)),
                topic_id=group.topic_id,
            )
            for group in digest.groups
        ),
        also=tuple(shelf.take(digest.also)),
        links=reader_links(settings, reader.id, delivery.id, delivery.created_at),
        topics=tuple(text for text, _ in materials.topics.get(reader.id, [])),
        subscribed_on=(reader.confirmed_at or reader.created_at).date(),
        operator_address=settings.operator_address,
        happenings=_happenings(digest, materials.papers, settings),
        cut_count=len(digest.cut_ids),
    )


def _happenings(
    digest: Digest, papers: Mapping[int, Paper], settings: Settings
) -> tuple[DigestHappening, ...]:
    return tuple(
        DigestHappening(
            title=papers[one.paper_id].title,
            url=paper_links(settings, papers[one.paper_id]).abstract,
            kind=one.kind,
            detail=one.detail,
        )
        for one in digest.happenings
        if one.paper_id in papers
    )


def _coverage(edition: Edition) -> Coverage:
    told = edition.coverage
    return Coverage(
        announced=told.get("announced", 0),
        checked=told.get("checked", 0),
        late=told.get("late", 0),
        late_days=tuple(
            (date.fromisoformat(day), count) for day, count in told.get("late_days", {}).items()
        ),
        is_complete=told.get("is_complete", False),
        note=told.get("note", ""),
    )


def _bare_address(mailbox: str) -> str:
    """`Paperboy <digest@example.org>` -> `digest@example.org`."""
    return mailbox.rpartition("<")[2].rstrip("> ") if "<" in mailbox else mailbox.strip()
