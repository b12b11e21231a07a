"""A suppression is anonymous, inserted once, and found after a rotation of the secret."""

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SuppressionReason
from service.platform.signing.address_hash import address_hash
from service.subscribers.store.models import Suppression
from service.subscribers.store.suppressions import (
    delete_suppression,
    find_reason,
    find_suppressed,
    insert_suppression,
    is_suppressed,
)

NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)


OLD, NEW = ("old secret",), ("new secret", "old secret")


KEY = "ada@example.org"


def test_a_suppression_is_anonymous_and_inserted_once(session: Session) -> None:
    assert insert_suppression(session, KEY, OLD, SuppressionReason.OPERATOR, "asked", NOW)
    assert not insert_suppression(session, KEY, OLD, SuppressionReason.COMPLAINT, "", NOW)
    (row,) = session.execute(select(Suppression)).scalars()
    assert row.address_hash == address_hash(KEY, OLD[0])
    assert (row.reason, row.detail) == (SuppressionReason.OPERATOR, "asked")
    assert find_reason(session, KEY, OLD) is SuppressionReason.OPERATOR
    assert find_reason(session, "grace@example.org", OLD) is None


def test_a_suppression_outlives_a_change_of_the_secret(session: Session) -> None:
    insert_suppression(session, KEY, OLD, SuppressionReason.HARD_BOUNCE, "", NOW)
    assert is_suppressed(session, KEY, NEW)
    assert not insert_suppression(session, KEY, NEW, SuppressionReason.HARD_BOUNCE, "", NOW)
    assert not is_suppressed(session, KEY, NEW[:1])
    assert find_suppressed(session, [KEY, "grace@example.org"], NEW) == {KEY}
    assert find_suppressed(session, [], NEW) == frozenset()
    assert delete_suppression(session, KEY, NEW)
    assert not delete_suppression(session, KEY, NEW)
    assert not is_suppressed(session, KEY, NEW)
