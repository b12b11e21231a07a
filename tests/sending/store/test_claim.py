"""Each step of sending is conditional: a sender that changes no row has lost it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from support.newsletter.decisions import decide_now
from support.newsletter.press import ACCEPTED, OUR_LOCKS, SILENCE, Press
from support.smtp.smtp_sink import wait_until
from support.web.papers import FRIDAY

from service.deliveries.domain.months import IDS
from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.deliveries import insert_mail, insert_mails, make_due
from service.deliveries.store.models import Delivery
from service.editions.publish import open_edition
from service.editions.store.models import Edition
from service.platform.database.engine import make_engine, make_sessions
from service.sending.store.claim import (
    Claimer,
    Scope,
    claim_due,
    count_due,
    count_in_doubt,
    hold_sender_lock,
    sweep_abandoned,
)
from service.sending.store.in_flight import (
    SendResult,
    TerminalTransition,
    end_claimed,
    lock_claimed,
    put_in_flight,
    record_results,
)
from service.subscribers.bulk_import import CONFIRMATION_LIFETIME
from service.subscribers.queue_mails import MAIL_LIFETIME

LEASE = timedelta(minutes=15)
ME, OTHER = 11, 12
# The digests of the edition, in their order; and a mail that is none of them.
ONE, TWO, THREE, FOUR, FIVE = DIGESTS = [2609 * IDS + number for number in range(1, 6)]
REQUEUE = "UPDATE deliveries SET state = 'queued' WHERE id = :id"


@pytest.fixture
def edition_id(press: Press) -> int:
    press.add_subscribers(*(f"reader{n}@example.org" for n in range(5)))
    press.add_papers(1)
    return press.publish()


def claim(press: Press, owner: int = ME, limit: int = 10, edition: int | None = None) -> list[int]:
    with press.sessions.begin() as session:
        claims = claim_due(session, Claimer(owner, LEASE, edition), limit, press.clock())
        return [claim.id for claim in claims]


def to_flight(press: Press, ids: list[int], attempt: int = 1) -> set[int]:
    with press.sessions.begin() as session:
        names = {i: f"<digest.{i}.{i:020x}@bounces.paperboy.example>" for i in ids}
        return put_in_flight(session, dict.fromkeys(ids, attempt), names, press.clock() + LEASE)


def test_a_claim_takes_the_oldest_due_rows_with_their_subscribers(
    press: Press, edition_id: int
) -> None:
    with press.sessions.begin() as session:
        claims = claim_due(session, Claimer(ME, LEASE, edition_id), 3, press.clock())
        assert [row.id for row in claims] == [ONE, TWO, THREE]
        assert [row.subscriber.email for row in claims if row.subscriber] == [
            "reader0@example.org",
            "reader1@example.org",
            "reader2@example.org",
        ]
    row = press.rows()[0]
    assert (row.state, row.attempt, row.lease_owner) == (DeliveryState.CLAIMED, 1, ME)
    assert row.lease_until == press.clock() + LEASE


def test_claimed_rows_are_not_claimed_again(press: Press, edition_id: int) -> None:
    assert claim(press, ME, 3) == [ONE, TWO, THREE]
    assert claim(press, OTHER) == [FOUR, FIVE]
    assert claim(press) == []


def test_many_senders_claim_each_row_once(press: Press, edition_id: int) -> None:
    with ThreadPoolExecutor(4) as pool:
        taken = [i for ids in pool.map(lambda n: claim(press, n, 1), range(1, 9)) for i in ids]
    assert sorted(taken) == DIGESTS


def test_rows_locked_by_another_claim_are_skipped(press: Press, edition_id: int) -> None:
    with press.sessions.begin() as session:
        claim_due(session, Claimer(OTHER, LEASE), 2, press.clock())
        assert claim(press) == [THREE, FOUR, FIVE]


def test_a_sender_continues_from_its_place_and_returns_for_rows_behind_it(
    press: Press, edition_id: int
) -> None:
    claimer = Claimer(ME, LEASE)

    def take() -> list[int]:
        with press.sessions.begin() as session:
            return [row.id for row in claim_due(session, claimer, 2, press.clock())]

    assert [take(), take()] == [[ONE, TWO], [THREE, FOUR]]
    with press.sessions.begin() as session:
        # The first row returned to the queue and kept its `due_at`.
        session.execute(text(REQUEUE), {"id": ONE})
    assert [take(), take(), take()] == [[FIVE], [ONE], []]


def test_a_new_sender_continues_from_the_saved_place_and_looks_behind_it_at_the_end(
    press: Press, edition_id: int
) -> None:
    assert claim(press, limit=3) == [ONE, TWO, THREE]
    with press.sessions.begin() as session:
        session.execute(text(REQUEUE), {"id": TWO})
    # The first claim saved its place; an older place changes nothing.
    press.clock.forward(seconds=1)
    assert claim(press, OTHER, limit=1) == [FOUR]
    assert [claim(press, limit=1), claim(press, limit=1)] == [[FIVE], [TWO]]
    with press.sessions.begin() as session:
        edition = session.get(Edition, edition_id)
        assert edition is not None
        assert edition.passed_id == FIVE


def test_saving_the_place_skips_locked_editions(press: Press, edition_id: int) -> None:
    with press.sessions.begin() as session:
        session.execute(text("SELECT 1 FROM editions FOR NO KEY UPDATE"))
        with press.sessions.begin() as another:
            another.execute(text("SET LOCAL lock_timeout = '2s'"))
            claimer = Claimer(ME, LEASE)
            assert len(claim_due(another, claimer, 2, press.clock())) == 2


def test_transactional_mail_does_not_wait_behind_an_edition(press: Press, edition_id: int) -> None:
    subscriber = press.rows()[0].subscriber_id
    assert subscriber is not None
    press.clock.forward(minutes=1)
    with press.sessions.begin() as session:
        now = press.clock()
        letter = insert_mail(session, DeliveryKind.WELCOME, subscriber, "1", now, now + LEASE)
    assert sorted(claim(press, limit=2)) == [letter, ONE]


def queue_import(press: Press, count: int) -> list[int]:
    """Queue week-long confirmations, as an import does; return their ids."""
    ids = press.add_subscribers(*(f"imported{n}@example.org" for n in range(count)))
    now = press.clock()
    with press.sessions.begin() as session:
        insert_mails(session, DeliveryKind.CONFIRMATION, ids, "1", now, now + CONFIRMATION_LIFETIME)
        kind = Delivery.kind == DeliveryKind.CONFIRMATION
        return list(session.scalars(select(Delivery.id).where(kind).order_by(Delivery.id)))


def test_an_import_takes_half_of_a_claim_and_a_sign_up_goes_before_it(
    press: Press, edition_id: int
) -> None:
    imported = queue_import(press, 10)
    press.clock.forward(minutes=1)
    with press.sessions.begin() as session:
        now = press.clock()
        until = now + MAIL_LIFETIME
        sign_up = insert_mail(session, DeliveryKind.CONFIRMATION, 1, "1", now, until)
    assert sorted(claim(press, limit=4)) == sorted([sign_up or 0, *imported[:2], ONE])
    assert sorted(claim(press, limit=4)) == [*imported[2:4], TWO, THREE]
    assert claim(press, limit=4, edition=edition_id) == [FOUR, FIVE]
    # With no digests left, the whole claim is the import's.
    assert claim(press, limit=6) == imported[4:9]


def test_a_claim_in_a_scope_takes_only_urgent_mail_or_none(press: Press, edition_id: int) -> None:
    imported = queue_import(press, 2)
    with press.sessions.begin() as session:
        now = press.clock()
        link = insert_mail(session, DeliveryKind.PERSONAL_LINK, 1, "1", now, now + MAIL_LIFETIME)

    def claim_in(scope: Scope) -> list[int]:
        with press.sessions.begin() as session:
            claimer = Claimer(ME, LEASE, scope=scope)
            return sorted(claim.id for claim in claim_due(session, claimer, 20, press.clock()))

    assert claim_in(Scope.OTHERS) == [*imported, *DIGESTS]
    assert claim_in(Scope.URGENT) == [link]


def test_a_digest_that_returned_to_the_queue_does_not_wait_for_the_end_of_an_import(
    press: Press, edition_id: int
) -> None:
    claimer = Claimer(ME, LEASE)
    with press.sessions.begin() as session:
        claim_due(session, claimer, 10, press.clock())
        session.execute(text(REQUEUE), {"id": ONE})
    queue_import(press, 10)
    with press.sessions.begin() as session:
        assert ONE in {row.id for row in claim_due(session, claimer, 4, press.clock())}


def test_an_open_editions_rows_and_future_rows_are_not_due(press: Press) -> None:
    (subscriber,) = press.add_subscribers("reader@example.org")
    press.add_papers(1)
    open_edition(press.sessions, press.settings, Cadence.DAILY, FRIDAY, press.clock())
    with press.sessions.begin() as session:
        for edition_id, due in ((1, press.clock()), (None, press.clock() + LEASE)):
            kind = DeliveryKind.DIGEST if edition_id else DeliveryKind.WELCOME
            session.add(
                Delivery(
                    id=ONE if edition_id else 2, kind=kind, edition_id=edition_id, subscriber_id=subscriber, due_at=due,
                    state=DeliveryState.QUEUED, send_not_after=due,
                    created_at=due, updated_at=due,
                )
            )  # fmt: skip
    assert claim(press) == []
    press.clock.forward(minutes=15)
    assert claim(press) == [2]


def test_a_sender_locks_only_its_own_claims(press: Press, edition_id: int) -> None:
    claim(press, ME, 3)
    claim(press, OTHER, 1)
    with press.sessions.begin() as session:
        held = lock_claimed(
            session, ME, {ONE: 1, TWO: 1, THREE: 2, FOUR: 1, FIVE: 1}, press.clock()
        )
    assert [row.id for row in held] == [ONE, TWO]


def test_a_row_with_an_expired_lease_is_marked_as_over(press: Press, edition_id: int) -> None:
    attempts = dict.fromkeys(claim(press, limit=2), 1)
    with press.sessions.begin() as session:
        now = press.clock()
        assert [row.is_over for row in lock_claimed(session, ME, attempts, now)] == [False] * 2
        late = lock_claimed(session, ME, attempts, now + LEASE)
        assert [row.is_over for row in late] == [True] * 2


def test_putting_in_flight_is_compare_and_set_on_the_attempt(press: Press, edition_id: int) -> None:
    ids = claim(press)
    assert to_flight(press, ids, attempt=2) == set()
    assert to_flight(press, ids) == set(ids)
    assert to_flight(press, ids) == set()
    assert {row.state for row in press.rows()} == {DeliveryState.IN_FLIGHT}
    assert (
        press.message_id(press.rows()[0]) == f"<digest.{ONE}.{ONE:020x}@bounces.paperboy.example>"
    )


def record(press: Press, delivery_id: int, attempt: int = 1) -> bool:
    with press.sessions.begin() as session:
        result = SendResult(delivery_id, attempt, decide_now(ACCEPTED))
        return delivery_id in record_results(session, [result], press.clock())


def test_a_result_is_recorded_once_and_for_its_own_attempt(press: Press, edition_id: int) -> None:
    ids = claim(press)
    assert not record(press, ids[0])
    to_flight(press, ids)
    assert not record(press, ids[0], attempt=2)
    assert record(press, ids[0])
    assert not record(press, ids[0])
    assert not record(press, 4711)
    assert press.history(ids[0]) == [(1, DeliveryState.SENT)]


def test_a_row_in_doubt_is_not_put_in_doubt_again(press: Press, edition_id: int) -> None:
    to_flight(press, claim(press, limit=1))
    doubt = [SendResult(ONE, 1, decide_now(SILENCE))]
    with press.sessions.begin() as session:
        assert set(record_results(session, doubt, press.clock())) == {ONE}
        assert record_results(session, doubt, press.clock()) == {}
        assert count_in_doubt(session) == 1
    assert press.history(ONE) == [(1, DeliveryState.IN_DOUBT)]


def test_skips_and_failures_keep_their_reason_and_drop_their_lease(
    press: Press, edition_id: int
) -> None:
    claim(press, limit=2)
    endings = [
        TerminalTransition(ONE, 1, DeliveryState.SKIPPED, "late"),
        TerminalTransition(TWO, 1, DeliveryState.FAILED, "render: " + "x" * 900),
    ]
    with press.sessions.begin() as session:
        assert end_claimed(session, endings, press.clock()) == {ONE, TWO}
        assert end_claimed(session, endings, press.clock()) == set()
        assert (
            end_claimed(
                session, [TerminalTransition(THREE, 0, DeliveryState.FAILED, "?")], press.clock()
            )
            == set()
        )
    rows = press.rows()
    assert [(row.state, len(row.reason), row.lease_owner) for row in rows[:2]] == [
        ("skipped", 4, None),
        ("failed", 500, None),
    ]


def locks(session: Session) -> list[int]:
    """Return the numbers of the senders that hold a lock."""
    return list(session.execute(text("SELECT objid::bigint" + OUR_LOCKS)).scalars())


def test_a_senders_lock_ends_with_its_run_and_does_not_stay_in_the_pool(
    press: Press, session: Session
) -> None:
    with hold_sender_lock(press.sessions, ME):
        assert locks(session) == [ME]
    session.rollback()
    assert locks(session) == []


def test_a_sender_whose_connection_is_cut_counts_as_dead(
    press: Press, session: Session, edition_id: int
) -> None:
    other = make_engine(press.settings.database_url)
    with hold_sender_lock(make_sessions(other), ME):
        to_flight(press, claim(press, limit=1))
        claim(press, limit=1)
        assert sweep_abandoned(session, press.clock()) == (0, 0)
        session.execute(text("SELECT pg_terminate_backend(pid)" + OUR_LOCKS)).all()
        session.commit()
        # The backend ends a moment after `pg_terminate_backend`.
        wait_until(lambda: locks(session) == [])
        assert sweep_abandoned(session, press.clock()) == (1, 1)
        session.commit()
    other.dispose()


def test_a_sweep_skips_locked_rows(press: Press, session: Session, edition_id: int) -> None:
    claim(press, limit=2)
    with press.sessions.begin() as holder:
        holder.execute(select(Delivery).where(Delivery.id == ONE).with_for_update())
        assert sweep_abandoned(session, press.clock()) == (1, 0)
        session.rollback()


def test_due_rows_are_counted_with_the_oldest_time(press: Press, edition_id: int) -> None:
    with press.sessions() as session:
        assert count_due(session, press.clock()) == (5, press.clock())
    claim(press)
    with press.sessions() as session:
        assert count_due(session, press.clock()) == (0, None)


def test_waiting_rows_of_one_edition_are_made_due(press: Press, edition_id: int) -> None:
    with press.sessions.begin() as session:
        subscriber = press.rows()[0].subscriber_id
        assert subscriber is not None
        later = press.clock() + LEASE
        insert_mail(session, DeliveryKind.WELCOME, subscriber, "1", later, later)
        session.execute(text("UPDATE deliveries SET due_at = due_at + interval '1 hour'"))
        assert make_due(session, edition_id, press.clock()) == 5
        assert make_due(session, edition_id, press.clock()) == 0
    assert claim(press) == DIGESTS
