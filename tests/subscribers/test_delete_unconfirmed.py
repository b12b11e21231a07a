"""Sign-ups that nobody confirms go after fourteen days, and open no door to a stranger's inbox."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session
from support.newsletter.stored import read_tables

from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.models import Delivery
from service.operations.domain.retention import UNCONFIRMED
from service.platform.database.engine import make_sessions
from service.platform.signing.address_hash import email_key
from service.platform.signing.tokens import Purpose, make_token
from service.subscribers.delete_unconfirmed import delete_unconfirmed
from service.subscribers.domain.sign_up import SignUpForm
from service.subscribers.lifecycle import unsubscribe
from service.subscribers.sign_up import list_choices, request_subscription
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import activate, find_by_email
from service.subscribers.validate import validate_sign_up

KEYS = ("a secret",)
NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
FORM = SignUpForm("victim@gmail.com", ("cat:cs.CL",), "daily", "6", "UTC", "/")


def at(days: float) -> datetime:
    return NOW + timedelta(days=days)


def sign_up(session: Session, days: float, form: SignUpForm = FORM) -> bool:
    is_mailed = request_subscription(session, validate_sign_up(session, form), KEYS, at(days))
    session.commit()
    return is_mailed


def forget(engine: Engine, days: float) -> int:
    return delete_unconfirmed(make_sessions(engine), at(days) - UNCONFIRMED, at(days))


def test_a_sign_up_is_deleted_fourteen_days_after_it_was_last_asked(
    session: Session, engine: Engine
) -> None:
    sign_up(session, 0)
    sign_up(session, 5)
    assert forget(engine, 18.9) == 0
    assert forget(engine, 19.1) == 1
    assert forget(engine, 19.1) == 0
    tables = read_tables(engine)
    for table in ("subscribers", "topics", "consents", "pending_sign_ups"):
        assert tables[table] == ()
    assert not any("victim" in row for rows in tables.values() for row in rows)


def test_those_who_confirmed_or_left_stay(session: Session, engine: Engine) -> None:
    sign_up(session, 0)
    sign_up(session, 0, replace(FORM, email="gone@example.org"))
    confirmed, gone = session.scalars(select(Subscriber).order_by(Subscriber.id)).all()
    activate(session, confirmed, "test", at(1))
    unsubscribe(session, gone.id, "test", at(1))
    session.commit()
    assert forget(engine, 400) == 0


def test_a_mailbox_gets_no_more_confirmations_in_thirty_days_than_before(
    session: Session, engine: Engine
) -> None:
    days = (0, 1, 2, 17, 18, 29, 31.5, 32.6, 33.7, 48)
    spellings = ("victim@gmail.com", "vic.tim@gmail.com", "victim+news@gmail.com")
    mailed = []
    for number, day in enumerate(days):
        forget(engine, day - 0.1)
        if sign_up(session, day, replace(FORM, email=spellings[number % 3])):
            mailed.append(day)
    assert session.scalars(select(Subscriber.id)).all() != [1], "those of the start were deleted"
    for day in mailed:
        assert sum(day - 30 < other <= day for other in mailed) <= 3, mailed
    # After that they are counted no more, and nothing leads to the mailbox.
    assert mailed == [0, 1, 2, 31.5, 32.6, 33.7]
    forget(engine, 100)
    assert set(session.scalars(select(Delivery.occasion))) == {""}


def test_another_mailbox_is_not_counted_with_one_that_was_deleted(
    session: Session, engine: Engine
) -> None:
    for day in (0, 1, 2):
        sign_up(session, day)
    assert forget(engine, 17) == 1
    assert not sign_up(session, 17)
    assert sign_up(session, 17, replace(FORM, email="other@gmail.com"))


def test_a_link_that_still_works_is_never_taken_away(session: Session, engine: Engine) -> None:
    sign_up(session, 0)
    sign_up(session, 13)
    assert forget(engine, 15) == 0
    subscriber = find_by_email(session, email_key(FORM.email))
    assert subscriber is not None
    link = make_token(Purpose.CONFIRM, subscriber, at(13))
    assert list_choices(session, subscriber, link, at(15))


@pytest.mark.parametrize("kept", ["5", "12"])
def test_numbers_of_confirmations_go_on_after_older_ones_were_deleted(
    session: Session, kept: str
) -> None:
    """The number was the count, which would have been that of a mail that exists already."""
    sign_up(session, 0)
    session.execute(text("UPDATE deliveries SET occasion = :kept"), {"kept": kept})
    session.commit()
    assert sign_up(session, 2)
    numbers = session.scalars(
        select(Delivery.occasion).where(Delivery.kind == DeliveryKind.CONFIRMATION)
    )
    assert sorted(map(int, numbers)) == [int(kept), int(kept) + 1]
