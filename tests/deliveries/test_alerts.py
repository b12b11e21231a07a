"""Alerts to the operator: one per occasion, however many workers notice it."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from service.deliveries.alerts import ALERT_LIFETIME, Alert, alert_operator
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.models import Delivery
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings

ALERT = Alert(subject="gmail.com refuses mail", detail="550 5.7.26", hint="Look at SPF")
OCCASION = "breaker gmail.com 2026-09-18T05:00:00+00:00"


@pytest.fixture
def with_address(settings: Settings) -> Settings:
    return settings.model_copy(update={"alert_to": "operator@paperboy.example"})


def test_an_alert_is_a_row_without_a_subscriber(
    session: Session, with_address: Settings, now: datetime
) -> None:
    number = alert_operator(session, with_address, OCCASION, ALERT, now)
    row = session.get_one(Delivery, number)
    assert (row.kind, row.state) == (DeliveryKind.OPERATOR_ALERT, DeliveryState.QUEUED)
    assert row.subscriber_id is None
    assert row.alert == {"subject": ALERT.subject, "detail": ALERT.detail, "hint": ALERT.hint}
    assert (row.due_at, row.send_not_after) == (now, now + ALERT_LIFETIME)


def test_each_occasion_has_one_alert(
    session: Session, with_address: Settings, now: datetime
) -> None:
    assert alert_operator(session, with_address, OCCASION, ALERT, now) is not None
    later = now + timedelta(hours=1)
    assert alert_operator(session, with_address, OCCASION, ALERT, later) is None
    assert alert_operator(session, with_address, f"{OCCASION} again", ALERT, later) is not None


def test_concurrent_workers_queue_one_alert(
    engine: Engine, with_address: Settings, now: datetime
) -> None:
    sessions, start = make_sessions(engine), threading.Barrier(4)

    def notice() -> None:
        with sessions.begin() as session:
            start.wait(10)
            alert_operator(session, with_address, OCCASION, ALERT, now)

    workers = [threading.Thread(target=notice) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(10)
    with sessions() as session:
        assert session.execute(select(func.count()).select_from(Delivery)).scalar_one() == 1


def test_without_an_address_the_alert_is_only_logged_and_only_once(
    session: Session, settings: Settings, now: datetime
) -> None:
    with capture_logs() as lines:
        for minutes in (0, 5, 10):
            at = now + timedelta(minutes=minutes)
            assert alert_operator(session, settings, OCCASION, ALERT, at) is None
    assert [line["subject"] for line in lines if line["event"] == "alert"] == [ALERT.subject]
    # The row stands for the occasion, and nobody is mailed.
    row = session.execute(select(Delivery)).scalar_one()
    assert (row.state, row.reason) == (DeliveryState.SKIPPED, "no address")
