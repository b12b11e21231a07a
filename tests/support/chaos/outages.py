"""A day on which a source cannot be read, in whole or in one category, as a fault of a seed.

The papers of the first day are missing until its deadline has passed. Its edition must name the
outage; OAI-PMH brings the papers in the evening, so the next edition must have them, marked late.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, text

from service.editions.store.models import Edition
from service.papers.arxiv_backfill import heal_arxiv
from service.papers.domain.types import BatchState
from service.papers.ingest import ingest_source
from service.papers.listing_check import close_overdue
from service.papers.sources.registry import build_oai, build_sources
from service.papers.store.batches import open_batch
from support.servers.loopback_http import LoopbackHttp, Response
from support.sources.open_gate import OpenGate
from support.sources.upstream import Event, Upstream
from support.web.papers import FRIDAY, THURSDAY

if TYPE_CHECKING:
    from support.chaos.world import Story

# What a seed may have: no outage, all of the source away, or one of two categories.
OUTAGES: Final = ("", "", "", "all", "category")
_ANSWERS: Final[tuple[Response, ...]] = (
    (503, {}, b"Service Unavailable"),
    (403, {}, b"Forbidden"),
    (0, {}, b""),
    (200, {}, b"<!DOCTYPE html><html><body>Sorry</body></html>"),
    (200, {}, b"<rss version='2.0'><channel><title>cut of"),
)
_TITLES: Final = ("Alpha in an outage", "Beta in an outage", "Parsing in an outage")
_PAST_DEADLINE: Final = timedelta(hours=7)


def lost_papers(outage: str) -> list[Event]:
    """Return the papers that nobody can read on the first day."""
    category = "cs.LG" if outage == "category" else "cs.CL"
    submitted_on = THURSDAY - timedelta(days=2)
    return [
        Event(THURSDAY, 500 + number, (category,), submitted_on, title=title)
        for number, title in enumerate(_TITLES)
    ]


def begin_outage(story: "Story") -> None:
    """Take the day's papers away, and let the service look for them until the deadline has passed."""
    with story.sessions.begin() as session:
        # All get the mail of a day without papers, and as soon as its edition is open.
        session.execute(
            text("UPDATE subscribers SET has_empty_digests = true, timing = 'when_complete'")
        )
        if story.plan.outage == "all":
            session.execute(
                text("DELETE FROM papers WHERE first_announced_on = :on"), {"on": THURSDAY}
            )
            session.execute(text("DELETE FROM batches WHERE announced_on = :on"), {"on": THURSDAY})
    categories = ("cs.CL", "cs.LG") if story.plan.outage == "category" else ("cs.CL",)
    story.settings = story.settings.model_copy(update={"arxiv_categories": categories})
    answer = story.dice.choice(_ANSWERS)
    http = LoopbackHttp()
    http.routes = {f"/rss/{category}": answer for category in categories}
    http.start()
    try:
        _look(story, http)
        story.clock.forward(seconds=_PAST_DEADLINE.total_seconds())
        _look(story, http)
    finally:
        http.stop()
    close_overdue(story.sessions, story.clock())


def _look(story: "Story", http: LoopbackHttp) -> None:
    settings = story.settings.model_copy(
        update={"arxiv_feed_url": http.url, "arxiv_list_url": f"{http.url}/list"}
    )
    (source,) = build_sources(settings, OpenGate())
    ingest_source(story.sessions, settings, source, None, story.clock())


def end_outage(story: "Story") -> None:
    """Read the day again through OAI-PMH, which answers now."""
    http = LoopbackHttp()
    upstream = Upstream(http, lost_papers(story.plan.outage), story.clock)
    upstream.open(story.settings.arxiv_categories)
    http.start()
    try:
        settings = story.settings.model_copy(
            update={"arxiv_feed_url": http.url, "arxiv_oai_url": f"{http.url}/oai"}
        )
        oai = build_oai(settings, OpenGate())
        assert oai is not None
        heal_arxiv(story.sessions, settings, oai, story.clock())
    finally:
        http.stop()
    with story.sessions.begin() as session:
        # The next day has no papers there, so that its edition waits for none.
        for category in story.settings.arxiv_categories:
            batch = open_batch(session, "arxiv", category, FRIDAY, story.clock())
            batch.state = BatchState.COMPLETE


def broken_by_outage(story: "Story") -> Iterator[str]:
    """Yield what broke the promise: an outage is called one, and its papers come later, marked."""
    if not story.plan.outage:
        return
    with story.sessions() as session:
        editions = session.scalars(select(Edition).where(Edition.local_date == THURSDAY)).all()
        coverages = {edition.id: edition.coverage for edition in editions}
        late = _places(story, FRIDAY)
    for edition_id, coverage in coverages.items():
        note = str(coverage.get("note", ""))
        if coverage.get("is_complete") or "could not be" not in note or "holiday" in note:
            yield f"edition {edition_id} of an outage says {note!r}, complete: {coverage}"
    for exchange in story.relay.exchanges:
        shown = _text_of(exchange.content) if exchange.is_kept else ""
        if "17 September 2026" in shown and "could not be" not in shown:
            yield f"a mail to {exchange.recipient} does not name the outage"
        if "holiday" in shown:
            yield f"a mail to {exchange.recipient} calls an outage a holiday"
    for event in lost_papers(story.plan.outage):
        for cadence in ("daily", "weekdays"):
            if late.get((event.key, cadence)) is not True:
                yield f"{event.key} was missed, and is not late in the next {cadence} edition"


def _places(story: "Story", on: date) -> dict[tuple[str, str], bool]:
    """Return whether each paper of a day's editions is marked late, by paper and cadence."""
    chosen = text(
        "SELECT p.key, e.cadence::text, ep.is_late FROM edition_papers ep"
        " JOIN papers p ON p.id = ep.paper_id JOIN editions e ON e.id = ep.edition_id"
        " WHERE e.local_date = :on"
    )
    with story.engine.connect() as connection:
        rows = connection.execute(chosen, {"on": on}).all()
    return {(key, cadence): is_late for key, cadence, is_late in rows}


def _text_of(content: bytes) -> str:
    body = message_from_bytes(content, policy=policy.default).get_body(("plain",))
    return " ".join(str(body.get_content()).split()) if body is not None else ""
