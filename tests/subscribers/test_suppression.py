"""A suppressed address gets no mail, even after an erasure and however it comes back."""

from pathlib import Path

import pytest
from support.newsletter.press import PlannedTransport, Press, dump_tables

from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import insert_mail
from service.sending.deliver import deliver
from service.sending.send_loop import DeliverReport
from service.subscribers.bulk_import import ImportChoices, ImportReport, blank_sign_up, import_file
from service.subscribers.import_file import inspect_file
from service.subscribers.lifecycle import erase, release_address, suppress_address
from service.subscribers.store.subscribers import get_subscriber

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
