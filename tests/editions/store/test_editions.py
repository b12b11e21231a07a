"""Editions: one for each cadence and date, each paper in one of them, counted once."""

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.deliveries import DigestRow, insert_digests
from service.deliveries.store.models import Delivery
from service.editions.domain.states import EditionState
from service.editions.store.chunks import claim_chunk, open_chunks, plan_chunks
from service.editions.store.edition_papers import assign_papers, get_edition_papers
from service.editions.store.editions import (
    close_finished,
    count_states,
    find_edition,
    freeze_if_composed,
    get_edition,
    insert_edition,
    list_editions,
    list_open,
    newest_dates,
)
from service.editions.store.models import Edition, EditionChunk
from service.papers.domain.types import AnnounceType
from service.platform.database.engine import make_sessions
from service.subscribers.domain.sign_up import Preferences, ValidSignUp
from service.subscribers.store.insert_subscribers import insert_subscribers

NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
SATURDAY = FRIDAY + timedelta(days=1)


def open_edition(session: Session, on: date = FRIDAY, cadence: Cadence = Cadence.DAILY) -> Edition:
    edition = insert_edition(session, cadence, on, NOW, sends_now=False)
    assert edition is not None
    return edition


def add_subscribers(session: Session, count: int, cadence: Cadence = Cadence.DAILY) -> list[int]:
    chosen = Preferences(cadence, 7, "UTC")
    addresses = [f"{cadence}{n}@example.org" for n in range(count)]
    new = [ValidSignUp(address, address, chosen) for address in addresses]
    return insert_subscribers(session, new, NOW, is_confirmed=True)


def compose(session: Session, edition: Edition) -> None:
    session.execute(
        update(EditionChunk).where(EditionChunk.edition_id == edition.id).values(composed_at=NOW)
    )


def row(subscriber: int, skip_reason: str = "") -> DigestRow:
    return DigestRow(subscriber, NOW, NOW + WEEK, skip_reason)


def test_an_edition_of_a_cadence_and_date_is_made_once(session: Session) -> None:
    edition = open_edition(session)
    assert insert_edition(session, Cadence.DAILY, FRIDAY, NOW, sends_now=True) is None
    weekly = open_edition(session, cadence=Cadence.WEEKLY)
    earlier = open_edition(session, THURSDAY)
    assert find_edition(session, Cadence.DAILY, FRIDAY) is edition
    assert find_edition(session, Cadence.WEEKDAYS, FRIDAY) is None
    assert get_edition(session, edition.id) is edition
    assert list_editions(session, THURSDAY) == [earlier, edition, weekly]
    assert list_open(session) == [edition, weekly, earlier]
    assert newest_dates(session) == {Cadence.DAILY: FRIDAY, Cadence.WEEKLY: FRIDAY}


def test_two_processes_that_open_an_edition_at_once_make_one(
    session: Session, engine: Engine
) -> None:
    made: list[Edition | None] = []

    def open_elsewhere() -> None:
        with make_sessions(engine).begin() as other:
            made.append(insert_edition(other, Cadence.DAILY, FRIDAY, NOW, sends_now=False))

    open_edition(session)
    other = threading.Thread(target=open_elsewhere)
    other.start()
    other.join(timeout=0.2)
    assert made == []
    session.commit()
    other.join(timeout=10)
    assert made == [None]


def test_every_paper_is_in_one_edition_of_a_cadence(session: Session) -> None:
    ids = store_papers(session, [make_announcement(n, "Paper") for n in (1, 2)])
    friday = open_edition(session)
    assert assign_papers(session, friday, WEEK) == 2
    assert assign_papers(session, friday, WEEK) == 0
    weekly = open_edition(session, FRIDAY + timedelta(days=3), Cadence.WEEKLY)
    assert assign_papers(session, weekly, WEEK) == 2
    session.commit()
    late = store_papers(session, [make_announcement(3, "Late")])
    later = store_papers(session, [make_announcement(4, "Saturday's")], SATURDAY)
    saturday = open_edition(session, SATURDAY)
    assert assign_papers(session, saturday, WEEK) == 2
    assert get_edition_papers(session, friday.id) == dict.fromkeys(ids.values(), False)
    assert get_edition_papers(session, saturday.id) == {
        late["arxiv:2609.00003"]: True,
        later["arxiv:2609.00004"]: False,
    }


@pytest.mark.parametrize(
    ("days_ago", "is_carried"), [(-1, False), (0, True), (6, True), (7, False)]
)
def test_an_edition_looks_back_for_its_lookback_and_never_ahead(
    session: Session, days_ago: int, is_carried: bool
) -> None:
    store_papers(session, [make_announcement(1, "Paper")], FRIDAY - timedelta(days=days_ago))
    edition = open_edition(session)
    assert assign_papers(session, edition, WEEK) == int(is_carried)
    assert not any(get_edition_papers(session, edition.id).values())


def test_replacements_and_withdrawn_papers_are_in_no_edition(session: Session) -> None:
    store_papers(
        session,
        [
            make_announcement(1, "Replaced", announce_type=AnnounceType.REPLACE),
            make_announcement(2, "Withdrawn", is_withdrawn=True),
            make_announcement(3, "Crossed", announce_type=AnnounceType.CROSS),
            make_announcement(4, "Listed", announce_type=AnnounceType.LISTED),
        ],
    )
    assert assign_papers(session, open_edition(session), WEEK) == 2


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_chunks_hold_every_subscriber_of_the_cadence_once(session: Session, size: int) -> None:
    subscribers = add_subscribers(session, 7)
    add_subscribers(session, 3, Cadence.WEEKLY)
    edition = open_edition(session)
    planned = plan_chunks(session, edition, size)
    assert planned == open_chunks(session, edition.id)
    ranges = session.execute(
        select(EditionChunk.first_subscriber_id, EditionChunk.last_subscriber_id)
    ).all()
    covered = [[i for i in subscribers if first <= i <= last] for first, last in ranges]
    assert sorted(i for some in covered for i in some) == subscribers
    assert all(len(some) <= size for some in covered)
    assert len(planned) == -(-7 // size)


def test_an_edition_without_subscribers_has_no_chunks_and_freezes_empty(session: Session) -> None:
    edition = open_edition(session)
    assert plan_chunks(session, edition, 10) == []
    assert freeze_if_composed(session, edition.id, NOW)
    assert (edition.candidate_count, edition.state) == (0, EditionState.FROZEN)
    assert close_finished(session, NOW) == [edition.id]


def test_a_chunk_is_claimed_by_one_process_and_never_after_it_is_composed(
    session: Session, engine: Engine
) -> None:
    add_subscribers(session, 1)
    (number,) = plan_chunks(session, open_edition(session), 10)
    session.commit()
    found: list[EditionChunk | None] = []

    def claim_elsewhere() -> None:
        with make_sessions(engine).begin() as other:
            found.append(claim_chunk(other, number))

    chunk = claim_chunk(session, number)
    assert chunk is not None
    other = threading.Thread(target=claim_elsewhere)
    other.start()
    other.join(timeout=0.2)
    assert found == []
    chunk.composed_at = NOW
    session.commit()
    other.join(timeout=10)
    assert found == [None]
    assert claim_chunk(session, 4711) is None


def test_an_edition_freezes_once_with_all_of_its_rows(session: Session) -> None:
    first, second = add_subscribers(session, 2)
    edition = open_edition(session)
    plan_chunks(session, edition, 10)
    assert not freeze_if_composed(session, edition.id, NOW)
    insert_digests(session, edition.id, [row(first), row(second, "empty")], NOW)
    compose(session, edition)
    assert freeze_if_composed(session, edition.id, NOW)
    assert not freeze_if_composed(session, edition.id, NOW + WEEK)
    assert (edition.frozen_at, edition.candidate_count) == (NOW, 2)
    assert count_states(session, [edition.id]) == {
        edition.id: {(DeliveryState.QUEUED, ""): 1, (DeliveryState.SKIPPED, "empty"): 1}
    }


def test_an_edition_closes_when_its_last_row_is_final(session: Session) -> None:
    (subscriber,) = add_subscribers(session, 1)
    edition = open_edition(session)
    insert_digests(session, edition.id, [row(subscriber)], NOW)
    assert close_finished(session, NOW) == []
    freeze_if_composed(session, edition.id, NOW)
    for state in (DeliveryState.QUEUED, DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT):
        session.execute(update(Delivery).values(state=state))
        assert close_finished(session, NOW) == []
    session.execute(update(Delivery).values(state=DeliveryState.SENT))
    assert close_finished(session, NOW) == [edition.id]
    assert close_finished(session, NOW) == []
    closed = session.execute(select(Edition.state, Edition.closed_at)).one()
    assert tuple(closed) == (EditionState.CLOSED, NOW)


def test_the_coverage_is_stored_unchanged(session: Session) -> None:
    edition = open_edition(session)
    edition.coverage = {"announced": 3, "note": "“all”"}
    session.commit()
    session.expire_all()
    assert edition.coverage == {"announced": 3, "note": "“all”"}
    assert session.execute(select(func.count()).select_from(Edition)).scalar_one() == 1
