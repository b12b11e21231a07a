"""One work, one edition; an update reaches its subscribers once; no way to get a paper twice."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select
from support.newsletter.installation import repeated
from support.newsletter.press import PlannedTransport, Press
from support.sources.hostile_world import FRIDAY, MONDAY, SATURDAY, THURSDAY, TUESDAY, WEDNESDAY
from support.web.papers import make_announcement

from service.deliveries.domain.digest_json import digest_from_json
from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.deliveries.domain.states import DeliveryState
from service.editions.domain.schedule import is_cadence_day
from service.editions.publish import publish_now
from service.editions.store.models import EditionPaper
from service.papers.domain.harvests import REREAD_DAYS
from service.papers.domain.types import AnnounceType, ParsedAnnouncement
from service.papers.store.batches import open_batch
from service.papers.store.models import Paper, PaperIdentifier
from service.papers.store_announcements import store_announcements
from service.sending.deliver import deliver

DOI = "10.1101/2026.09.17.123456"
ALL = ("cat:cs.CL", "parsing")


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 9, 17, 6, tzinfo=UTC)


def tell(press: Press, on: date, *announcements: ParsedAnnouncement, source: str = "arxiv") -> None:
    """Store announcements of a day as ingest does."""
    with press.sessions.begin() as session:
        category = "cs.CL" if source == "arxiv" else ""
        batch = open_batch(session, source, category, on, press.clock())
        store_announcements(session, batch, announcements, press.clock())


def publish_day(press: Press, on: date, *cadences: Cadence) -> None:
    """Publish and send the editions of a day; then turn the clock to the next morning."""
    for cadence in cadences or Cadence:
        if is_cadence_day(cadence, on):
            publish_now(press.sessions, press.settings, cadence, on, press.clock())
    deliver(press.sender(PlannedTransport()))
    press.clock.forward(days=1)


def sent(press: Press, subscriber: int) -> list[int]:
    return [
        i
        for row in press.rows()
        if row.subscriber_id == subscriber and row.state is DeliveryState.SENT
        for i in row.paper_ids
    ]


def told_of(press: Press, subscriber: int) -> list[tuple[str, str]]:
    return [
        (str(h.kind), h.detail)
        for row in press.rows()
        if row.subscriber_id == subscriber and row.digest is not None
        for h in digest_from_json(row.digest).updates
    ]


def preprint() -> ParsedAnnouncement:
    return make_announcement(
        1,
        "Parsing of genomes",
        key=f"biorxiv:{DOI}",
        source="biorxiv",
        identifier=DOI,
        doi=DOI,
        categories=("genomics",),
        primary_category="genomics",
    )


def on_arxiv(**changes: object) -> ParsedAnnouncement:
    return make_announcement(7, "Parsing of genomes", doi=DOI, **changes)


@pytest.mark.parametrize("is_same_day", [True, False])
def test_a_work_on_biorxiv_and_arxiv_is_in_one_edition_under_both_names(
    press: Press, is_same_day: bool
) -> None:
    (anne,) = press.add_subscribers("anne@example.org", topics=["parsing"])
    tell(press, THURSDAY, preprint(), source="biorxiv")
    if not is_same_day:
        publish_day(press, THURSDAY)
    tell(press, FRIDAY, on_arxiv())
    publish_day(press, FRIDAY)
    publish_day(press, SATURDAY)
    with press.sessions() as session:
        placed = session.execute(
            select(EditionPaper.paper_id).where(EditionPaper.cadence == Cadence.DAILY)
        ).all()
        works = set(session.execute(select(Paper.work_id)).scalars())
        names = set(session.execute(select(PaperIdentifier.value)).scalars())
    assert len(placed) == len(sent(press, anne)) == 1
    assert len(works) == 1
    assert {f"biorxiv:{DOI}", f"doi:{DOI}", "arxiv:2609.00007"} <= names


def test_a_work_whose_second_name_comes_later_is_not_sent_to_the_same_reader_again(
    press: Press,
) -> None:
    (anne,) = press.add_subscribers("anne@example.org", topics=["parsing"])
    tell(press, THURSDAY, preprint(), source="biorxiv")
    publish_day(press, THURSDAY, Cadence.DAILY)
    press.change(anne, cadence=Cadence.WEEKDAYS)
    tell(press, FRIDAY, on_arxiv())
    # No weekday edition carried it yet, but this reader has had it.
    publish_day(press, FRIDAY, Cadence.WEEKDAYS)
    assert len(sent(press, anne)) == 1


def test_a_paper_update_is_reported_once_to_subscribers_who_were_sent_the_paper(
    press: Press,
) -> None:
    anne, bert = press.add_subscribers("anne@example.org", "bert@example.org", topics=ALL)
    (cleo,) = press.add_subscribers("cleo@example.org", topics=["quasars"])
    tell(press, THURSDAY, make_announcement(1, "Parsing fast"), make_announcement(2, "Parsing"))
    publish_day(press, THURSDAY)
    (dora,) = press.add_subscribers("dora@example.org", topics=ALL)
    revised = make_announcement(
        1,
        "Parsing fast",
        version=2,
        announce_type=AnnounceType.REPLACE,
        abstract="Everything is different in this one, from the first word to the last.",
    )
    withdrawn = make_announcement(
        2, "Parsing", version=2, announce_type=AnnounceType.REPLACE, is_withdrawn=True
    )
    for _ in range(2):
        # Both the feed and OAI-PMH tell it.
        tell(press, FRIDAY, revised, withdrawn, make_announcement(3, "Parsing, new"))
    press.change(bert, state=SubscriberState.UNSUBSCRIBED)
    publish_day(press, FRIDAY)
    tell(press, SATURDAY, revised, withdrawn, make_announcement(4, "Parsing, newest"))
    publish_day(press, SATURDAY)
    happened = [("revised", "v2"), ("withdrawn", "v2")]
    assert sorted(told_of(press, anne)) == happened
    assert told_of(press, bert) == told_of(press, cleo) == told_of(press, dora) == []
    assert repeated(map(str, sent(press, anne))) == []
    assert len(sent(press, anne)) == 4


def test_an_event_waits_for_the_readers_next_digest(press: Press) -> None:
    (anne,) = press.add_subscribers("anne@example.org", topics=["parsing"])
    tell(press, THURSDAY, make_announcement(1, "Parsing"))
    publish_day(press, THURSDAY)
    gone = make_announcement(
        1, "Parsing", version=2, announce_type=AnnounceType.REPLACE, is_withdrawn=True
    )
    tell(press, FRIDAY, gone)
    publish_day(press, FRIDAY)
    assert told_of(press, anne) == []
    tell(press, SATURDAY, make_announcement(2, "Parsing again"))
    publish_day(press, SATURDAY)
    assert told_of(press, anne) == [("withdrawn", "v2")]


def test_a_publication_known_under_two_names_is_reported_once(press: Press) -> None:
    (anne,) = press.add_subscribers("anne@example.org", topics=["parsing"])
    tell(press, THURSDAY, preprint(), source="biorxiv")
    publish_day(press, THURSDAY)
    tell(press, FRIDAY, on_arxiv())
    publish_day(press, FRIDAY)
    journal = "Journal of Parsing 1 (2026)"
    tell(press, SATURDAY, on_arxiv(journal_ref=journal, announce_type=AnnounceType.REPLACE))
    tell(press, SATURDAY, replace(preprint(), journal_ref=journal), source="biorxiv")
    tell(press, SATURDAY, make_announcement(9, "Parsing, fresh"))
    publish_day(press, SATURDAY)
    assert told_of(press, anne) == [("published", journal)]


def test_a_reader_who_changes_everything_gets_no_paper_twice(press: Press) -> None:
    press.settings = press.settings.model_copy(update={"digest_max_papers": 100})
    (anne,) = press.add_subscribers("anne@example.org", topics=[*ALL, "cat:cs.CL parsing", "study"])
    changes: dict[date, dict[str, object]] = {
        FRIDAY: {"cadence": Cadence.WEEKDAYS},
        MONDAY: {"cadence": Cadence.WEEKLY},
        TUESDAY: {"cadence": Cadence.DAILY},
        TUESDAY + timedelta(days=1): {"state": SubscriberState.PAUSED, "paused_until": None},
        TUESDAY + timedelta(days=3): {"state": SubscriberState.ACTIVE},
        TUESDAY + timedelta(days=4): {"cadence": Cadence.WEEKLY},
        TUESDAY + timedelta(days=7): {"cadence": Cadence.WEEKDAYS},
    }
    for day in range(14):
        on = WEDNESDAY + timedelta(days=day + 1)
        if on in changes:
            press.change(anne, **changes[on])
        tell(press, on, *(make_announcement(day * 3 + n, f"Parsing {day} {n}") for n in range(3)))
        publish_day(press, on)
    papers = sent(press, anne)
    assert repeated(map(str, papers)) == []
    assert len(papers) > 20


@pytest.mark.parametrize("cadence", list(Cadence))
def test_a_paper_found_on_the_last_day_it_is_looked_for_is_in_the_next_edition(
    press: Press, cadence: Cadence
) -> None:
    for shift in range(7):
        # Five weeks apart, so that each begins where no edition is.
        announced_on = MONDAY + timedelta(days=35 * shift + shift)
        found_on = announced_on + timedelta(days=REREAD_DAYS)
        for on in (announced_on, found_on):
            if is_cadence_day(cadence, on):
                publish_now(press.sessions, press.settings, cadence, on, press.clock())
        key = f"arxiv:2609.{500 + shift:05d}"
        late = make_announcement(500 + shift, "Found late")
        tell(press, announced_on, late)
        following = found_on + timedelta(days=1)
        while not is_cadence_day(cadence, following):
            following += timedelta(days=1)
        edition_id = publish_now(press.sessions, press.settings, cadence, following, press.clock())
        with press.sessions() as session:
            placed = session.execute(
                select(Paper.key)
                .join(EditionPaper, EditionPaper.paper_id == Paper.id)
                .where(EditionPaper.cadence == cadence)
            ).scalars()
            assert key in set(placed), (edition_id, announced_on)
