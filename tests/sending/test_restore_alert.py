"""The operator is alerted of a restored database at once, and no other mail is sent."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from sqlalchemy import text
from support.newsletter.press import LATER, PlannedTransport, Press, plain_text
from support.servers.dumps import Again

from service.deliveries.alerts import Alert, alert_operator
from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import insert_mail
from service.deliveries.store.models import Delivery
from service.sending.deliver import deliver
from service.sending.restore_guard import (
    DatabaseRestored,
    accept_newest,
    accept_restored,
    alerting_restored,
    find_suspicion,
    refuse_restored,
)
from service.sending.watermark_files import watermark_paths

ANNE, BERT, CLEO = "anne@example.org", "bert@example.org", "cleo@example.org"
OPERATOR = "ops@paperboy.example"


@pytest.fixture(autouse=True)
def address_of_the_operator(press: Press) -> None:
    press.settings = press.settings.model_copy(update={"alert_to": OPERATOR})


@pytest.fixture
def restored(press: Press, backup: Callable[[], Again]) -> Again:
    """A restored database with two digests, a confirmation and an alert sent after its backup.

    Returns a function that restores it once more.
    """
    press.add_subscribers(ANNE, BERT)
    (cleo,) = press.add_subscribers(CLEO)
    press.change(cleo, state=SubscriberState.PENDING, confirmed_at=None)
    press.add_papers(1)
    press.publish()
    queue_transactional(press, DeliveryKind.CONFIRMATION, cleo)
    queue_alert(press, "relay of yesterday")
    restore = backup()
    assert deliver(press.sender(PlannedTransport())).sent == 4
    restore()
    press.clock.forward(minutes=1)
    return restore


def queue_transactional(press: Press, kind: DeliveryKind, subscriber: int) -> None:
    now = press.clock()
    with press.sessions.begin() as session:
        insert_mail(session, kind, subscriber, "first", now, now + timedelta(hours=5))


def queue_alert(press: Press, occasion: str) -> None:
    alert = Alert(subject="The relay takes no mail", detail=occasion)
    with press.sessions.begin() as session:
        alert_operator(session, press.settings, occasion, alert, press.clock())


def own_alerts(press: Press) -> list[Delivery]:
    return [row for row in press.rows() if row.occasion.startswith("restored ")]


def others(press: Press) -> list[tuple[int, str, int]]:
    """Return the columns that sending changes, of every row but the guard's own."""
    return [
        (row.id, row.state, row.attempt)
        for row in press.rows()
        if not row.occasion.startswith("restored ")
    ]


def work(press: Press, transport: PlannedTransport) -> list[str]:
    """Run a worker's task on a refused database, and return the tasks that it enqueued."""
    enqueued: list[str] = []
    was_refused = True
    with alerting_restored(press.sessions, press.settings, press.clock(), enqueued.append):
        deliver(press.sender(transport))
        was_refused = False
    assert was_refused, "the guard let it through"
    return enqueued


def test_the_operator_is_alerted_at_once_and_once_and_nothing_else_is_sent(
    press: Press, restored: Again
) -> None:
    queue_alert(press, "relay of today")
    before, mark = others(press), watermark_paths(press.settings.data_dir)[0].read_text()
    assert len(before) == 5
    assert {(state, attempt) for _, state, attempt in before} == {("queued", 0)}
    transport = PlannedTransport()
    # The first run queues the alert and enqueues `deliver`, the second sends it; then all is done.
    assert [work(press, transport) for _ in range(4)] == [["deliver_urgent"], [], [], []]
    assert transport.recipients == [OPERATOR]
    assert "run: paperboy restored" in " ".join(plain_text(transport.sent[0].payload).split())
    (alert,) = own_alerts(press)
    assert (alert.state, alert.attempt) == ("sent", 1)
    assert press.history(alert.id) == [(1, "sent")]
    assert others(press) == before
    assert watermark_paths(press.settings.data_dir)[0].read_text() == mark


def test_the_operator_is_alerted_of_lost_marks_once_for_each_loss(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    transport = PlannedTransport()
    for number in (1, 2):
        press.clock.forward(hours=2)
        now = press.clock()
        with press.sessions.begin() as session:
            insert_mail(
                session, DeliveryKind.WELCOME, anne, f"{number}", now, now + timedelta(hours=5)
            )
        assert deliver(press.sender(transport)).sent == 1
        watermark_paths(press.settings.data_dir)[0].unlink()
        with redis.Redis.from_url(press.settings.redis_url) as client:
            client.flushdb()
        transport.sent.clear()
        assert [work(press, transport) for _ in range(3)] == [["deliver_urgent"], [], []]
        assert transport.recipients == [OPERATOR]
        text = " ".join(plain_text(transport.sent[0].payload).split())
        assert "run: paperboy restored --until TIME (or --nothing-lost" in text
        assert accept_newest(press.sessions, press.settings, press.clock.forward(minutes=5))
    assert [row.state for row in own_alerts(press)] == ["sent", "sent"]


def test_a_command_prints_the_same_whether_the_alert_is_sent_or_not(
    press: Press, restored: Again
) -> None:
    work(press, PlannedTransport())
    texts = []
    for _ in range(2):
        with pytest.raises(DatabaseRestored) as caught:
            deliver(press.sender(PlannedTransport()), 1)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
    assert own_alerts(press)[0].state == "sent"


def test_an_alert_with_the_id_of_the_watermarks_row_does_not_lift_the_guard(
    press: Press, backup: Callable[[], Again]
) -> None:
    """Ids continue from the backup, so the alert gets the id of the missing row."""
    (anne,) = press.add_subscribers(ANNE)
    restore = backup()
    queue_transactional(press, DeliveryKind.WELCOME, anne)
    assert deliver(press.sender(PlannedTransport())).sent == 1
    restore()
    transport = PlannedTransport()
    work(press, transport)
    work(press, transport)
    suspicion = find_suspicion(press.sessions, press.settings, press.clock())
    assert suspicion is not None
    mark = suspicion.watermark
    assert mark is not None
    (alert,) = own_alerts(press)
    assert (alert.id, alert.attempt, alert.state) == (mark.delivery_id, mark.attempt, "sent")
    with pytest.raises(DatabaseRestored):
        refuse_restored(press.sessions, press.settings, press.clock())


def test_an_alert_sent_after_the_confirmation_writes_no_watermark(
    press: Press, restored: Again
) -> None:
    work(press, PlannedTransport())
    accept_restored(press.sessions, press.settings, press.clock())
    transport = PlannedTransport()
    deliver(press.sender(transport))
    # Yesterday's alert about the relay is sent again, which does no harm, and then the guard's own.
    assert transport.recipients == [OPERATOR, OPERATOR]
    assert find_suspicion(press.sessions, press.settings, press.clock()) is None


def test_a_deferred_alert_is_tried_again(press: Press, restored: Again) -> None:
    work(press, PlannedTransport())
    work(press, PlannedTransport(lambda _: LATER))
    (alert,) = own_alerts(press)
    assert (alert.state, alert.attempt) == ("queued", 1)
    early, late = PlannedTransport(), PlannedTransport()
    work(press, early)
    press.clock.forward(hours=1)
    work(press, late)
    assert (early.recipients, late.recipients) == ([], [OPERATOR])


def test_two_workers_at_once_send_it_once(press: Press, restored: Again) -> None:
    work(press, PlannedTransport())
    other = PlannedTransport()
    transport = PlannedTransport(meanwhile=lambda: work(press, other))
    work(press, transport)
    assert (transport.recipients, other.recipients) == ([OPERATOR], [])


def test_a_second_restore_alerts_again_and_the_first_alert_is_not_repeated(
    press: Press, restored: Again, backup: Callable[[], Again]
) -> None:
    work(press, PlannedTransport())
    # A backup taken after the alert was queued and before it was sent.
    again = backup()
    work(press, PlannedTransport())
    (first,) = own_alerts(press)
    accept_restored(press.sessions, press.settings, press.clock.forward(minutes=5))
    queue_transactional(press, DeliveryKind.WELCOME, press.add_subscribers("dora@example.org")[0])
    assert deliver(press.sender(PlannedTransport())).sent == 2
    again()
    transport = PlannedTransport()
    work(press, transport)
    work(press, transport)
    assert transport.recipients == [OPERATOR]
    assert [(row.occasion == first.occasion, row.state) for row in own_alerts(press)] == [
        (True, "queued"),
        (False, "sent"),
    ]


def test_without_an_alert_address_no_task_is_enqueued(press: Press, restored: Again) -> None:
    press.settings = press.settings.model_copy(update={"alert_to": ""})
    transport = PlannedTransport()
    assert [work(press, transport) for _ in range(2)] == [[], []]
    assert transport.recipients == []
    assert [row.state for row in own_alerts(press)] == ["skipped"]


def test_an_alert_left_in_flight_by_a_dead_sender_is_not_sent_again(
    press: Press, restored: Again
) -> None:
    """It may have been sent, so it waits for the operator's confirmation."""
    work(press, PlannedTransport())
    with press.sessions.begin() as session:
        session.execute(
            text("UPDATE deliveries SET state = 'in_flight', attempt = 1 WHERE occasion ^@ :own"),
            {"own": "restored "},
        )
    transport = PlannedTransport()
    work(press, transport)
    assert transport.recipients == []
