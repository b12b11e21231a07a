"""A suppressed address gets no mail, even after an erasure and however it comes back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs
from support.newsletter.press import PlannedTransport, Press, dump_tables
from support.servers.databases import is_waiting
from support.smtp.smtp_sink import wait_until

from service.deliveries.domain.recipients import SuppressionReason
from service.deliveries.domain.states import Decision, DeliveryKind, DeliveryState
from service.deliveries.store.deliveries import insert_mail
from service.platform.database.engine import transaction
from service.platform.signing.address_hash import fingerprint
from service.platform.signing.tokens import Purpose, make_token
from service.sending.deliver import deliver
from service.sending.record_outcomes import suppress_dead_addresses
from service.sending.report import DeliverReport
from service.sending.store.in_flight import RecordedResult
from service.subscribers.bulk_import import ImportChoices, ImportReport, blank_sign_up, import_file
from service.subscribers.import_file import inspect_file
from service.subscribers.lifecycle import (
    erase,
    release_address,
    suppress_address,
    suppress_for_good,
)
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_subscriber
from service.subscribers.store.suppressions import (
    NewSuppression,
    insert_suppression,
    insert_suppressions,
)

ANNE = "anne@example.org"
OLD, NEW = "the key of last year, sixteen", "the key of this year, sixteen"


pytestmark = pytest.mark.settings(secret_key=(OLD,))


def forget(press: Press, subscriber_id: int) -> None:
    with press.sessions.begin() as session:
        subscriber = get_subscriber(session, subscriber_id)
        assert subscriber is not None
        erase(session, subscriber, press.settings.secret_key, press.clock())


def import_again(press: Press, address: str, directory: Path) -> ImportReport:
    file = directory / "readers.csv"
    file.write_text(f"email,topic\n{address},cat:cs.CL\n")
    choices = ImportChoices(blank_sign_up(press.settings, ""), directory / "rejected.csv", True)
    source, now = inspect_file(file), press.clock()
    return import_file(press.sessions, press.settings, source, choices, now, lambda *_: None)


def test_an_erased_subscriber_leaves_a_hash_and_no_address(press: Press) -> None:
    (subscriber_id,) = press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    forget(press, subscriber_id)
    assert "anne" not in str(dump_tables(press.sessions))


@pytest.mark.parametrize("address", [ANNE, "Anne@EXAMPLE.org", " anne@example.org."])
def test_an_import_does_not_bring_an_erased_address_back_and_nothing_is_sent(
    press: Press, address: str, tmp_path: Path
) -> None:
    (subscriber_id,) = press.add_subscribers(ANNE)
    forget(press, subscriber_id)
    # The secret was rotated since; old ones stay in the list after the new one.
    press.settings = press.settings.model_copy(update={"secret_key": (NEW, OLD)})
    report = import_again(press, address.strip().rstrip("."), tmp_path)
    assert (report.added, report.known) == ({}, {"suppressed": 1})
    press.add_papers(1)
    press.publish()
    transport = PlannedTransport()
    assert deliver(press.sender(transport)).total == 0
    assert transport.sent == []


@pytest.mark.parametrize(
    ("address", "again"), [(ANNE, "ANNE@example.ORG"), ("änne@example.org", "ÄNNE@example.org")]
)
def test_claiming_checks_suppressions_however_the_address_came_back(
    press: Press, address: str, again: str
) -> None:
    """As after a restored backup, or rows inserted by another program, without an import."""
    (subscriber_id,) = press.add_subscribers(address)
    forget(press, subscriber_id)
    press.settings = press.settings.model_copy(update={"secret_key": (NEW, OLD)})
    (back,) = press.add_subscribers(again.casefold())
    press.add_papers(1)
    edition_id = press.publish()
    with press.sessions.begin() as session:
        until = press.settings.send_not_after_hours
        now = press.clock()
        insert_mail(session, DeliveryKind.WELCOME, back, "again", now, now.replace(hour=until))
    transport = PlannedTransport()
    assert deliver(press.sender(transport)) == DeliverReport(skipped=2)
    assert transport.sent == []
    assert press.states(edition_id) == {"skipped: suppressed": 1}
    assert press.balance(edition_id).closes


def test_an_address_that_was_released_is_mailed_again_when_it_signs_up(
    press: Press, tmp_path: Path
) -> None:
    (subscriber_id,) = press.add_subscribers(ANNE)
    forget(press, subscriber_id)
    with press.sessions.begin() as session:
        assert release_address(session, ANNE, press.settings.secret_key)
    assert import_again(press, ANNE, tmp_path).added == {"active": 1}
    press.add_papers(1)
    press.publish()
    assert deliver(press.sender(PlannedTransport())) == DeliverReport(sent=1)


def test_an_address_suppressed_while_its_mail_is_built_is_not_sent(press: Press) -> None:
    press.add_subscribers(ANNE, "bert@example.org")
    press.add_papers(1)
    edition_id = press.publish()

    def suppress() -> None:
        with press.sessions.begin() as session:
            key = press.settings.secret_key
            suppress_address(session, "bert@example.org", key, "asked", press.clock())

    transport = PlannedTransport(meanwhile=suppress)
    # One row a window: the second is claimed after the first was sent.
    report = deliver(press.sender(transport, send_window=1))
    assert report == DeliverReport(sent=1, skipped=1)
    assert transport.recipients == [ANNE]
    assert press.states(edition_id) == {"sent": 1, "skipped: suppressed": 1}


def suppress_by_hand(press: Press) -> None:
    with press.sessions.begin() as session:
        suppress_address(session, ANNE, press.settings.secret_key, "by hand", press.clock())


def erase_anne(press: Press) -> None:
    forget(press, 1)


def refuse_for_good(press: Press) -> None:
    sent = RecordedResult(DeliveryState.FAILED, 1, press.clock())
    reply = Decision(DeliveryState.FAILED, "550 5.1.1", suppress=SuppressionReason.HARD_BOUNCE)
    with press.sessions.begin() as session:
        suppress_dead_addresses(session, [(sent, reply)], press.settings, press.clock())


@pytest.mark.parametrize("end", [suppress_by_hand, erase_anne, refuse_for_good])
def test_suppressing_waits_for_a_bounce_of_the_same_subscriber_without_a_deadlock(
    press: Press, engine: Engine, end: Callable[[Press], None]
) -> None:
    (anne,) = press.add_subscribers(ANNE)
    assert anne == 1
    with ThreadPoolExecutor(1) as pool:
        with press.sessions.begin() as bounce:
            subscriber = get_subscriber(bounce, anne, lock=True)
            assert subscriber is not None
            ending = pool.submit(end, press)
            wait_until(lambda: is_waiting(engine))
            reason, keys = SuppressionReason.HARD_BOUNCE, press.settings.secret_key
            assert insert_suppression(bounce, ANNE, keys, reason, "", press.clock())
        ending.result(timeout=10)


def test_the_log_has_each_suppression_once_without_the_address(press: Press) -> None:
    anne, bert = press.add_subscribers(ANNE, "bert@example.org")
    keys, now = press.settings.secret_key, press.clock()
    cleaned = [
        NewSuppression(f"{name}@example.org", SuppressionReason.HARD_BOUNCE, "") for name in "cde"
    ]
    with capture_logs() as lines:
        for _ in range(2):
            with transaction(press.sessions) as session:
                suppress_address(session, ANNE, keys, "asked", now)
                insert_suppressions(session, cleaned, keys[0], now)
        with transaction(press.sessions) as session:
            holder = session.get_one(Subscriber, bert)
            link = make_token(Purpose.NEVER, holder, now, fingerprint(holder.email_key))
            suppress_for_good(session, link, keys, now)
        (dora,) = press.add_subscribers("dora@example.org")
        with transaction(press.sessions) as session:
            erase(session, session.get_one(Subscriber, dora), keys, now)
    logged = [line for line in lines if line["event"] == "suppressed"]
    assert [(str(line["reason"]), line.get("subscriber_id")) for line in logged] == [
        ("operator", anne),
        ("hard_bounce", None),
        ("unsubscribed_for_good", bert),
        ("erased", dora),
    ]
    assert logged[1]["addresses"] == 3
    assert "@" not in str(logged)
