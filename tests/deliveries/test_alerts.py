"""Telling the operator: once an occasion, whoever notices it and however often."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from service.deliveries.alerts import ALERT_LIFETIME, Alert, alert_operator
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.models import Delivery
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings

ALERT = Alert(subject="gmail.com refuses mail", detail="550 5.7.26", hint="Look at SPF")
OCCASION = "breaker gmail.com 2026-09-18T05:00:00+00:00"


@pytest.fixture
def told(settings: Settings) -> Settings:
    return settings.model_copy(update={"alert_to": "operator@paperboy.example"})


def test_an_alert_is_a_row_without_a_reader(
    session: Session, told: Settings, now: datetime
) -> None:
    number = alert_operator(session, told, OCCASION, ALERT, now)
    row = session.get_one(Delivery, number)
    assert (row.kind, row.state) == (DeliveryKind.OPERATOR_ALERT, DeliveryState.QUEUED)
    assert row.subscriber_id is None
    assert row.alert == {"subject": ALERT.subject, "detail": ALERT.detail, "hint": ALERT.hint}
    assert (row.due_at, row.send_not_after) == (now, now + ALERT_LIFETIME)


def test_an_occasion_is_told_once_and_another_one_is_told(
    session: Session, told: Settings, now: datetime
) -> None:
    assert alert_operator(session, told, OCCASION, ALERT, now) is not None
    later = now + timedelta(hours=1)
    assert alert_operator(session, told, OCCASION, ALERT, later) is None
    assert alert_operator(session, told, f"{OCCASION} again", ALERT, later) is not None


def test_workers_that_notice_it_at_once_tell_it_once(
    engine: Engine, told: Settings, now: datetime
) -> None:
    sessions, start = make_sessions(engine), threading.Barrier(4)

    def notice() -> None:
        with sessions.begin() as session:
            start.wait(10)
            alert_operator(session, told, OCCASION, ALERT, now)

    workers = [threading.Thread(target=notice) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(10)
    with sessions() as session:
        assert session.execute(select(func.count()).select_from(Delivery)).scalar_one() == 1


def test_without_an_address_only_the_log_is_told(
    session: Session, settings: Settings, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    assert alert_operator(session, settings, OCCASION, ALERT, now) is None
    assert session.execute(select(func.count()).select_from(Delivery)).scalar_one() == 0
    said = capsys.readouterr()
    assert ALERT.subject in said.out + said.err
