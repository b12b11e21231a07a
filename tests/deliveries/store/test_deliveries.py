"""Deliveries as rows: unique, queried, and the ledger of papers sent to each subscriber."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from support.newsletter.press import SILENCE, PlannedTransport, Press
from support.web.papers import FRIDAY

from service.deliveries.domain.digest import Digest, DigestEntry, DigestGroup
from service.deliveries.domain.digest_json import digest_from_json, digest_to_json
from service.deliveries.domain.months import IDS
from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.deliveries import (
    DigestRow,
    count_mails,
    find_carried,
    get_delivery,
    insert_digests,
    insert_mail,
    latest_mail_at,
    list_events,
    record_event,
)
from service.deliveries.store.models import Delivery
from service.deliveries.store.sent_papers import find_seen
from service.editions.store.sent_editions import find_places
from service.sending.deliver import deliver, resolve

ANNE, BERT = "anne@example.org", "bert@example.org"
SATURDAY = FRIDAY + timedelta(days=1)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def subscribers(press: Press) -> list[int]:
    return press.add_subscribers(ANNE, BERT)


@pytest.fixture
def edition_id(press: Press, subscribers: list[int]) -> int:
    press.add_papers(1, 2)
    return press.publish()


_PAGES_AND_ROWS = text("""
SELECT count(DISTINCT page), max(rows) FROM (
  SELECT (CAST(CAST(ctid AS text) AS point))[0] AS page, count(*) AS rows
  FROM deliveries WHERE id BETWEEN :first AND :first + 127 GROUP BY page
) AS pages
""")


def test_rows_that_are_claimed_together_lie_on_many_pages(press: Press, session: Session) -> None:
    # So that new versions of a window's rows find room where they are, and the table does not double.
    press.publish()
    ids = press.add_subscribers(*(f"reader{n:04}@example.org" for n in range(1_000)))
    papers, now = tuple(range(12)), press.clock()
    rows = [
        DigestRow(i, now, now, "", papers, {"of": sha256(b"%d" % i).hexdigest() * 2}) for i in ids
    ]
    assert insert_digests(session, 1, rows, now) == 1_000
    for first in (1, 400, 873):
        pages, most = session.execute(_PAGES_AND_ROWS, {"first": 2609 * IDS + first}).one()
        assert pages > 25, first
        assert most <= 8, first


def test_no_rows_run_no_statement(session: Session, now: datetime) -> None:
    assert insert_digests(session, 4711, [], now) == 0


def test_more_subscribers_than_one_statement_can_hold_are_all_written(
    press: Press, session: Session, now: datetime
) -> None:
    press.publish()
    ids = press.add_subscribers(*(f"reader{n:04}@example.org" for n in range(1_200)))
    rows = [DigestRow(i, now, now, skip_reason="empty") for i in ids]
    assert insert_digests(session, 1, rows, now) == 1_200
    assert insert_digests(session, 1, rows, now) == 0


def test_any_topic_title_survives_a_round_trip_through_the_row(
    press: Press, session: Session, now: datetime
) -> None:
    press.publish()
    (subscriber,) = press.add_subscribers("odd@example.org")
    title = 'a\tb\\n\nc\r"d" \\N {e,f} “Ünï” \U0001f600'
    digest = Digest((DigestGroup(title, (DigestEntry(7),), 3),), (8, 9))
    row = DigestRow(subscriber, now, now, "", digest.paper_ids, digest_to_json(digest))
    assert insert_digests(session, 1, [row], now) == 1
    (found,) = session.scalars(select(Delivery).where(Delivery.subscriber_id == subscriber))
    assert found.digest is not None
    assert digest_from_json(found.digest) == digest
    assert (found.paper_ids, found.state, found.reason) == ([7], DeliveryState.QUEUED, "")
    assert (found.due_at, found.created_at) == (now, now)


def test_an_occasion_has_one_mail_of_each_kind(
    session: Session, subscribers: list[int], now: datetime
) -> None:
    def queue(kind: DeliveryKind, occasion: str, subscriber: int = 0) -> int | None:
        return insert_mail(session, kind, subscribers[subscriber], occasion, now, now)

    first = queue(DeliveryKind.WELCOME, "1")
    assert first is not None
    assert queue(DeliveryKind.WELCOME, "1") is None
    others = [
        queue(DeliveryKind.WELCOME, "2"),
        queue(DeliveryKind.FAREWELL, "1"),
        queue(DeliveryKind.WELCOME, "1", subscriber=1),
    ]
    assert None not in others
    assert count_mails(session, DeliveryKind.WELCOME, subscribers[0]) == 2
    assert count_mails(session, DeliveryKind.CONFIRMATION, subscribers[0]) == 0


def test_the_latest_mail_of_a_kind_is_the_newest(
    session: Session, subscribers: list[int], now: datetime
) -> None:
    kind = DeliveryKind.CONFIRMATION
    assert latest_mail_at(session, kind, subscribers[0]) is None
    for hours in (5, 1):
        at = now + timedelta(hours=hours)
        insert_mail(session, kind, subscribers[0], str(hours), at, at)
    assert latest_mail_at(session, kind, subscribers[0]) == now + timedelta(hours=5)


def test_a_row_is_found_by_its_id(session: Session, edition_id: int, press: Press) -> None:
    row = press.rows(edition_id)[0]
    found = get_delivery(session, row.id)
    assert found is not None
    assert found.subscriber_id == row.subscriber_id
    assert get_delivery(session, 4711) is None


def test_events_are_listed_in_order_and_truncated(
    session: Session, edition_id: int, press: Press
) -> None:
    row = session.get_one(Delivery, press.rows(edition_id)[0].id)
    record_event(session, row, DeliveryState.CLAIMED, "first", press.clock())
    record_event(session, row, DeliveryState.QUEUED, "x" * 5_000, press.clock())
    session.commit()
    events = list_events(session, row)
    assert [(event.state, len(event.detail)) for event in events] == [
        ("claimed", 5),
        ("queued", 1_000),
    ]


def seen_by_anne(press: Press, subscribers: list[int], ids: list[int], but: int = 0) -> set[int]:
    with press.sessions() as session:
        places = find_places(session, ids, but)
        return set(find_seen(session, subscribers, ids, places, but).get(subscribers[0], ()))


def test_the_ledger_has_papers_that_were_or_may_have_been_sent(
    press: Press, subscribers: list[int], edition_id: int
) -> None:
    ids = list(press.rows(edition_id)[0].paper_ids)
    assert seen_by_anne(press, subscribers, ids) == set(ids)
    assert seen_by_anne(press, subscribers, ids[:1]) >= set(ids[:1])
    # Papers of the edition itself do not count as seen.
    assert seen_by_anne(press, subscribers, ids, but=edition_id) == set()
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    assert seen_by_anne(press, subscribers, ids) == set(ids)
    resolve(press.sessions, edition_id, "carry", press.clock())
    assert seen_by_anne(press, subscribers, ids) == set()


def test_the_ledger_of_no_papers_is_empty(session: Session, subscribers: list[int]) -> None:
    assert find_seen(session, subscribers, [], [], 0) == {}
    assert find_seen(session, [], [1], [], 0) == {}


def test_carried_rows_are_found_by_subscriber_until_a_digest_has_them(
    press: Press, session: Session, subscribers: list[int], edition_id: int
) -> None:
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    assert find_carried(session, subscribers, LONG_AGO) == {}
    resolve(press.sessions, edition_id, "carry", press.clock())
    session.rollback()
    assert {r: len(rows) for r, rows in find_carried(session, subscribers, LONG_AGO).items()} == {
        subscribers[0]: 1,
        subscribers[1]: 1,
    }
    press.publish(SATURDAY)
    session.rollback()
    assert find_carried(session, subscribers, LONG_AGO) == {}


def test_two_cadences_of_a_date_are_two_editions(press: Press, edition_id: int) -> None:
    assert press.publish(cadence=Cadence.WEEKDAYS) != edition_id
