"""The operator is told of doubts that stay and of accounts that do not close, once for each."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from support.newsletter.press import SILENCE, PlannedTransport, Press

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind
from service.editions.publish import open_edition
from service.operations.monitoring import watch_accounts
from service.sending.deliver import deliver


@pytest.fixture
def edition_id(press: Press) -> int:
    press.settings = press.settings.model_copy(update={"alert_to": "ops@paperboy.example"})
    press.add_readers("anne@example.org", "bert@example.org")
    press.add_papers(1)
    return press.publish()


def watch(press: Press) -> int:
    return watch_accounts(press.sessions, press.settings, press.clock())


def alerts(press: Press) -> list[str]:
    return [
        (row.alert or {})["subject"]
        for row in press.rows()
        if row.kind is DeliveryKind.OPERATOR_ALERT
    ]


def test_a_doubt_that_stays_is_told_once(press: Press, edition_id: int) -> None:
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    press.clock.forward(minutes=29)
    assert watch(press) == 0
    press.clock.forward(minutes=2)
    assert watch(press) == 1
    press.clock.forward(hours=2)
    assert watch(press) == 0
    assert alerts(press) == [f"2 digests in doubt in edition {edition_id}"]


def test_an_account_that_does_not_close_is_told_once(press: Press, edition_id: int) -> None:
    deliver(press.sender(PlannedTransport()))
    assert watch(press) == 0
    with press.sessions.begin() as session:
        session.execute(text("DELETE FROM deliveries WHERE id = (SELECT min(id) FROM deliveries)"))
    assert (watch(press), watch(press)) == (1, 0)
    assert alerts(press) == [f"The balance of edition {edition_id} does not close"]


def test_an_edition_that_is_being_composed_is_no_reason(press: Press, edition_id: int) -> None:
    deliver(press.sender(PlannedTransport()))
    on = press.clock.forward(days=1).date()
    open_edition(press.sessions, press.settings, Cadence.DAILY, on, press.clock())
    assert watch(press) == 0
