"""Composing reads of the ledger what it needs: as much after a year as in the first week."""

from datetime import timedelta

from sqlalchemy import Engine, text, update
from support.newsletter.press import SILENCE, PlannedTransport, Press
from support.newsletter.years import counting_reads, fill_months
from support.web.papers import FRIDAY

from service.deliveries.domain.months import month_of
from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.store.deliveries import find_carried
from service.deliveries.store.sent_papers import find_seen
from service.editions.store.sent_editions import find_places
from service.papers.domain.types import PaperEventKind
from service.papers.store.works import insert_events
from service.sending.deliver import deliver, resolve
from service.subscribers.store.models import Subscriber

ANNE = "anne@example.org"
# Enough that an index is faster than reading a whole month.
SUBSCRIBERS = 300


def fill_year(press: Press) -> list[int]:
    """Add a year of mail to subscribers who will get the next edition; return its months."""
    months = fill_months(press.sessions, press.clock(), 12, SUBSCRIBERS)
    with press.sessions.begin() as session:
        session.execute(update(Subscriber).values(state=SubscriberState.ACTIVE))
    return months


def also_read(engine: Engine, months: list[int]) -> set[int]:
    """Return the month that PostgreSQL 16 looks into as well, the oldest of however many."""
    version = engine.dialect.server_version_info or (0,)
    return {months[0]} if version < (18,) else set()


def test_composing_reads_the_last_digest_and_no_older_one(press: Press, engine: Engine) -> None:
    press.add_papers(1, 2, 3)
    months = fill_year(press)
    with counting_reads(engine) as reads:
        edition = press.publish()
    assert press.balance(edition).candidate_count == SUBSCRIBERS
    # The newest four editions are looked into, whatever their cadence.
    read = {month for month, count in reads.items() if count}
    assert read <= {*months[-4:], month_of(press.clock()), *also_read(engine, months)}


def test_an_update_to_an_old_paper_reads_the_month_that_it_was_sent_in(
    press: Press, engine: Engine
) -> None:
    press.add_papers(1, 2, 3)
    months = fill_year(press)
    with press.sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO edition_papers (edition_id, paper_id, cadence)"
                " SELECT id, 1, cadence FROM editions WHERE month = :month"
            ),
            {"month": months[2]},
        )
        insert_events(session, [(1, PaperEventKind.PUBLISHED, "10.1/1")], press.clock())
    press.clock.forward(minutes=1)
    with counting_reads(engine) as reads:
        edition = press.publish()
    read = {month for month, count in reads.items() if count}
    wanted = {months[2], *months[-4:], month_of(press.clock())}
    assert read == {*wanted, *also_read(engine, months)}
    rows = [row for row in press.rows(edition) if row.digest]
    assert len(rows) == SUBSCRIBERS
    assert all(row.digest and len(row.digest["updates"]) == 1 for row in rows)


def test_a_paper_of_a_carried_digest_counts_as_sent_by_the_one_that_has_it_now(
    press: Press,
) -> None:
    subscribers = press.add_subscribers(ANNE)
    papers = press.add_papers(1, 2)
    first = press.publish()
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    resolve(press.sessions, first, "carry", press.clock())
    press.add_papers(3, on=FRIDAY + timedelta(days=3))
    press.clock.forward(days=3)
    second = press.publish(FRIDAY + timedelta(days=3))
    ids = list(papers.values())
    assert set(ids) <= set(press.row(second).paper_ids)
    with press.sessions() as session:
        assert find_carried(session, subscribers, press.clock()) == {}
        places = find_places(session, ids, 0)
        assert {place.edition_id for place in places} == {first}
        assert find_seen(session, subscribers, ids, places, 0) == {subscribers[0]: frozenset(ids)}
