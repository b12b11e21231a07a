"""Rows that wait for a provider: claims do not scan them, and none waits without a limit."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, insert, text
from sqlalchemy.orm import Session
from support.newsletter.stored import count_lanes

from service.deliveries.domain.months import IDS, month_of
from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.models import Delivery
from service.deliveries.store.months import make_month
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition
from service.platform.database.engine import make_sessions
from service.sending.domain.provider_limits import BreakerState, ProviderLimitView
from service.sending.store.provider_limits import (
    CLAIM_WAITING,
    LimitClaim,
    ParkedRow,
    claim_waiting_for,
    delete_limit,
    find_limits,
    find_waiting,
    insert_limits,
    lock_limits,
    park_claimed,
    release_orphans,
    update_limit,
)

LEASE = timedelta(minutes=15)
ME = LimitClaim(owner=7, lease=LEASE)


def add_rows(session: Session, now: datetime, count: int, **values: object) -> list[int]:
    """Insert claimed rows; return their ids in order."""
    row = {
        "kind": DeliveryKind.WELCOME,
        "state": DeliveryState.CLAIMED,
        "attempt": 1,
        "lease_owner": 7,
        "lease_until": now + LEASE,
        "due_at": now,
        "send_not_after": now + timedelta(hours=20),
        "created_at": now,
        "updated_at": now,
    }
    ids = session.scalars(
        text("SELECT nextval('deliveries_id_seq') FROM generate_series(1, :count)"),
        {"count": count},
    )
    # Those of an edition are in the partition of its month.
    first = month_of(now) * IDS if "edition_id" in values else 0
    made = session.execute(
        insert(Delivery).returning(Delivery.id),
        [{**row, **values, "id": first + number} for number in ids],
    ).scalars()
    return sorted(made)


def park(session: Session, ids: list[int], lane: str, now: datetime) -> None:
    insert_limits(session, [lane], now)
    park_claimed(session, [ParkedRow(i, 1, lane) for i in ids], now)


def test_a_limit_is_stored_as_it_was_written(session: Session, now: datetime) -> None:
    insert_limits(session, ["gmail", "outlook"], now)
    insert_limits(session, ["gmail"], now + LEASE)
    assert find_limits(session) == {
        name: ProviderLimitView(name, now) for name in ("gmail", "outlook")
    }
    changed = ProviderLimitView(
        "gmail",
        now,
        rate=0.5,
        free_at=now + LEASE,
        recent="ap",
        breaker=BreakerState.OPEN,
        opened_at=now,
        open_count=2,
        probe_at=now + LEASE,
        last_reply="550 5.7.1 no",
    )
    assert list(lock_limits(session, ["outlook", "gmail", "unknown"])) == ["gmail", "outlook"]
    update_limit(session, changed)
    session.commit()
    assert find_limits(session)["gmail"] == changed


def test_a_parked_row_is_queued_and_not_due_before_its_latest_time(
    session: Session, now: datetime
) -> None:
    first, second = add_rows(session, now, 2)
    park(session, [first], "gmail", now)
    park_claimed(session, [ParkedRow(second, 99, "gmail")], now)  # an attempt that is not ours
    session.expire_all()
    row = session.get_one(Delivery, first)
    assert (row.state, row.lane, row.due_at) == (DeliveryState.QUEUED, "gmail", row.send_not_after)
    assert (row.lease_owner, row.lease_until) == (None, None)
    assert session.get_one(Delivery, second).state is DeliveryState.CLAIMED
    assert count_lanes(session) == {"gmail": 1}
    assert find_waiting(session) == {"gmail"}


def test_waiting_rows_are_claimed_once_oldest_first_and_become_due(
    session: Session, engine: Engine, now: datetime
) -> None:
    ids = add_rows(session, now, 5)
    park(session, ids, "gmail", now)
    session.commit()
    later = now + timedelta(hours=1)
    with make_sessions(engine)() as other:
        assert [row.id for row in claim_waiting_for(session, ME, "gmail", 2, later)] == ids[:2]
        rows = claim_waiting_for(other, LimitClaim(8, LEASE), "gmail", 2, later)
        assert [row.id for row in rows] == ids[2:4]
        assert claim_waiting_for(other, ME, "outlook", 2, later) == []
        other.commit()
    session.commit()
    row = session.get_one(Delivery, ids[0])
    assert (row.state, row.lane, row.attempt) == (DeliveryState.CLAIMED, "", 2)
    assert (row.lease_owner, row.lease_until, row.due_at) == (7, later + LEASE, later)
    assert count_lanes(session) == {"gmail": 1}


@pytest.mark.parametrize(("state", "count"), [(EditionState.FROZEN, 1), (EditionState.OPEN, 0)])
def test_only_waiting_rows_of_sendable_editions_are_claimed(
    session: Session, now: datetime, state: EditionState, count: int
) -> None:
    edition = Edition(
        cadence=Cadence.DAILY, local_date=now.date(), state=state, sends_now=True, opened_at=now
    )
    session.add(edition)
    session.flush()
    make_month(session, edition.month)
    ids = add_rows(session, now, 1, kind=DeliveryKind.DIGEST, edition_id=edition.id)
    park(session, ids, "gmail", now)
    other = LimitClaim(7, LEASE, edition_id=edition.id + 1)
    assert claim_waiting_for(session, other, "gmail", 5, now) == []
    assert (
        len(claim_waiting_for(session, LimitClaim(7, LEASE, edition.id), "gmail", 5, now)) == count
    )


def test_a_limit_is_deleted_only_if_no_row_waits(session: Session, now: datetime) -> None:
    ids = add_rows(session, now, 1)
    park(session, ids, "gmail", now)
    assert not delete_limit(session, "gmail")
    claim_waiting_for(session, ME, "gmail", 1, now)
    assert delete_limit(session, "gmail")
    assert not delete_limit(session, "gmail")
    assert find_limits(session) == {}


def test_rows_of_a_provider_without_a_limit_become_due_at_once(
    session: Session, now: datetime
) -> None:
    ids = add_rows(session, now, 2)
    park(session, ids[:1], "gmail", now)
    park(session, ids[1:], "outlook", now)
    session.execute(text("DELETE FROM paces WHERE provider = 'gmail'"))
    later = now + timedelta(minutes=1)
    assert release_orphans(session, later) == 1
    assert release_orphans(session, later) == 0
    session.expire_all()
    assert (session.get_one(Delivery, ids[0]).lane, session.get_one(Delivery, ids[0]).due_at) == (
        "",
        later,
    )
    assert count_lanes(session) == {"outlook": 1}


def test_urgent_mail_takes_the_slot_of_a_slow_provider_before_older_digests(
    session: Session, now: datetime
) -> None:
    edition = Edition(
        cadence=Cadence.DAILY, local_date=now.date(), state=EditionState.FROZEN, opened_at=now
    )
    session.add(edition)
    session.flush()
    make_month(session, edition.month)
    digests = add_rows(session, now, 3, kind=DeliveryKind.DIGEST, edition_id=edition.id)
    later, until = now + timedelta(minutes=1), now + timedelta(days=7)
    imported = add_rows(session, now, 1, created_at=later, send_not_after=until)
    urgent = add_rows(session, now, 1)
    park(session, [*digests, *imported, *urgent], "gmail", now)
    only_urgent = LimitClaim(owner=7, lease=LEASE, others=False)
    taken = [claim.id for claim in claim_waiting_for(session, ME, "gmail", 2, now)]
    assert sorted(taken) == sorted([urgent[0], digests[0]])
    assert claim_waiting_for(session, only_urgent, "gmail", 5, now) == []
    (late,) = add_rows(session, now, 1)
    park(session, [late], "gmail", now)
    assert [one.id for one in claim_waiting_for(session, only_urgent, "gmail", 5, now)] == [late]


def test_waiting_rows_are_read_by_their_index(session: Session, now: datetime) -> None:
    ids = add_rows(session, now, 3000)
    park(session, ids[:1000], "gmail", now)
    park(session, ids[1000:2000], "outlook", now)
    session.commit()
    session.execute(text("ANALYZE deliveries"))
    given = {"owner": 1, "until": now, "edition_id": None, "others": True, "lane": "outlook"}
    given |= {"limit": 20, "now": now, "is_full": False}
    plan = "\n".join(session.execute(text(f"EXPLAIN {CLAIM_WAITING.find}"), given).scalars())
    # The index of the partition, which took its name from its columns.
    assert "deliveries_single_lane_" in plan
    assert "Sort" not in plan
