"""A database from yesterday's backup does not send again what the world has already got."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, text
from support.newsletter.press import ACCEPTED, LATER, PlannedTransport, Press
from support.servers.dumps import Again
from support.web.papers import FRIDAY

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import insert_mail, list_events
from service.deliveries.store.restores import WHY_DOUBTFUL
from service.editions.store.editions import find_edition
from service.sending.deliver import deliver, resolve, sweep
from service.sending.restore_guard import (
    DatabaseRestored,
    WatermarkWriter,
    accept_restored,
    find_mark_ahead,
    refuse_restored,
)
from service.sending.watermark_files import watermark_paths
from service.subscribers.lifecycle import unsubscribe

ANNE, BERT = "anne@example.org", "bert@example.org"
SATURDAY, SUNDAY = FRIDAY + timedelta(days=1), FRIDAY + timedelta(days=2)


@pytest.fixture
def subscribers(press: Press) -> list[int]:
    return press.add_subscribers(ANNE, BERT)


def forget_valkey(press: Press) -> None:
    with redis.Redis.from_url(press.settings.redis_url) as client:
        client.flushdb()


def forget_files(press: Press) -> None:
    for path in watermark_paths(press.settings.data_dir):
        path.unlink(missing_ok=True)


def refused(press: Press) -> str:
    """That nothing is sent, and how it is said."""
    transport = PlannedTransport()
    with pytest.raises(DatabaseRestored) as caught:
        deliver(press.sender(transport))
    assert transport.sent == []
    return str(caught.value)


def test_an_edition_that_was_sent_after_the_backup_is_not_sent_again(
    press: Press, subscribers: list[int], backup: Callable[[], Again]
) -> None:
    press.add_papers(1)
    edition_id = press.publish()
    restore = backup()
    assert deliver(press.sender(PlannedTransport())).sent == 2
    restore()
    assert press.states(edition_id) == {"queued": 2}
    said = refused(press)
    assert "\n" not in said
    assert "restored from a backup" in said
    assert said.endswith("run: paperboy restored")
    report = accept_restored(press.sessions, press.settings, press.clock.forward(minutes=5))
    assert report.doubtful == {edition_id: 2}
    assert press.states(edition_id) == {"in_doubt": 2}
    assert press.balance(edition_id).closes
    transport = PlannedTransport()
    assert deliver(press.sender(transport)).total == 0
    assert transport.sent == []
    row = press.rows(edition_id)[0]
    with press.sessions() as session:
        (event,) = list_events(session, row.id)
    assert (event.attempt, event.state, event.detail) == (0, "in_doubt", WHY_DOUBTFUL)
    # The operator may know better, and nothing is asked twice.
    assert resolve(press.sessions, edition_id, "resend", press.clock()) == 2
    assert deliver(press.sender(transport)).sent == 2
    again = accept_restored(press.sessions, press.settings, press.clock())
    assert (again.until, again.doubtful) == (None, {})


@pytest.mark.parametrize("is_told_first", [True, False])
def test_an_edition_that_the_backup_does_not_know_is_made_again_and_not_sent(
    press: Press, subscribers: list[int], backup: Callable[[], Again], is_told_first: bool
) -> None:
    restore = backup()
    press.add_papers(1)
    press.publish()
    assert deliver(press.sender(PlannedTransport())).sent == 2
    restore()
    press.clock.forward(hours=2)
    press.add_papers(1)
    if is_told_first:
        refused(press)
        accept_restored(press.sessions, press.settings, press.clock())
        again = press.publish()
    else:
        again = press.publish()
        refused(press)
        report = accept_restored(press.sessions, press.settings, press.clock())
        assert report.doubtful == {again: 2}
    assert press.states(again) == {"in_doubt": 2}
    assert press.balance(again).closes
    assert deliver(press.sender(PlannedTransport())).total == 0
    # The next day is a new one, and brings the papers, marked.
    press.clock.forward(days=1)
    following = press.publish(SATURDAY)
    assert press.states(again) == {"carried": 2}
    transport = PlannedTransport()
    assert deliver(press.sender(transport)).sent == 2
    assert press.states(following) == {"sent": 2}


def test_nothing_is_suspected_of_a_database_that_is_as_it_was(
    press: Press, subscribers: list[int]
) -> None:
    press.add_papers(1)
    edition_id = press.publish()
    assert deliver(press.sender(PlannedTransport(lambda _: LATER))).retried == 2
    assert find_mark_ahead(press.sessions, press.settings) is None
    press.clock.forward(minutes=20)
    assert deliver(press.sender(PlannedTransport())).sent == 2
    assert find_mark_ahead(press.sessions, press.settings) is None
    assert press.states(edition_id) == {"sent": 2}
    unsuspected = accept_restored(press.sessions, press.settings, press.clock())
    assert (unsuspected.until, unsuspected.doubtful) == (None, {})


@pytest.mark.parametrize("forget", [forget_valkey, forget_files])
def test_one_of_the_two_places_is_enough(
    press: Press,
    subscribers: list[int],
    backup: Callable[[], Again],
    forget: Callable[[Press], None],
) -> None:
    press.add_papers(1)
    press.publish()
    restore = backup()
    deliver(press.sender(PlannedTransport()))
    restore()
    forget(press)
    refused(press)


def test_lost_marks_are_no_alarm(press: Press, subscribers: list[int]) -> None:
    press.add_papers(1)
    press.publish()
    assert deliver(press.sender(PlannedTransport())).sent == 2
    forget_valkey(press)
    forget_files(press)
    refuse_restored(press.sessions, press.settings)
    assert deliver(press.sender(PlannedTransport())).total == 0


def test_marks_of_another_database_and_half_a_mark_are_no_alarm(
    press: Press, subscribers: list[int], engine: Engine
) -> None:
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    beside, _ = watermark_paths(press.settings.data_dir)
    whole = beside.read_text()
    forget_valkey(press)
    for text_of_mark in (whole[:20], "", "[]", "{}", whole.replace("+00:00", ""), "\xff"):
        beside.write_text(text_of_mark, encoding="latin-1")
        assert find_mark_ahead(press.sessions, press.settings) is None
    beside.write_text(whole.replace('"attempt": 1', '"attempt": 9'))
    assert find_mark_ahead(press.sessions, press.settings) is not None
    with engine.begin() as connection:
        connection.execute(text("UPDATE installations SET name = gen_random_uuid()"))
    assert find_mark_ahead(press.sessions, press.settings) is None


def test_valkey_that_is_away_keeps_nobody_from_sending(
    press: Press, subscribers: list[int]
) -> None:
    away = press.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    press.settings = away
    press.add_papers(1)
    press.publish()
    assert deliver(press.sender(PlannedTransport())).sent == 2
    assert watermark_paths(away.data_dir)[0].exists()


def test_a_data_directory_whose_surroundings_are_not_writable_keeps_the_mark_within(
    press: Press, tmp_path: Path
) -> None:
    blocked = tmp_path / "data.sent"
    blocked.mkdir()  # a name that is taken fails as a place that is closed does
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    assert (tmp_path / "data" / "sent").is_file()
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["sent"]


def test_a_backup_taken_between_claim_and_flight_is_noticed_and_not_swept(
    press: Press, subscribers: list[int], backup: Callable[[], Again]
) -> None:
    """Its rows are claimed at the very attempt that went out afterwards."""
    press.add_papers(1)
    edition_id = press.publish()
    with press.sessions.begin() as session:
        session.execute(
            text("UPDATE deliveries SET state = 'claimed', attempt = 1, lease_owner = 7")
        )
    restore = backup()
    with press.sessions.begin() as session:
        session.execute(
            text("UPDATE deliveries SET state = 'queued', attempt = 0, lease_owner = NULL")
        )
    assert deliver(press.sender(PlannedTransport())).sent == 2
    restore()
    assert press.states(edition_id) == {"claimed": 2}
    with pytest.raises(DatabaseRestored):
        refuse_restored(press.sessions, press.settings)
    # Even if somebody sweeps all the same.
    sweep(press.sessions, press.clock())
    refused(press)
    assert accept_restored(press.sessions, press.settings, press.clock()).doubtful == {
        edition_id: 2
    }


def test_what_was_not_due_by_then_goes_out_after_the_restoring(
    press: Press, backup: Callable[[], Again]
) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    restore = backup()
    deliver(press.sender(PlannedTransport()))
    restore()
    (late,) = press.add_subscribers(BERT)
    at = press.clock.forward(hours=1)
    with press.sessions.begin() as session:
        insert_mail(session, DeliveryKind.WELCOME, late, "first", at, at + timedelta(hours=5))
    refused(press)
    report = accept_restored(press.sessions, press.settings, press.clock())
    assert list(report.doubtful.values()) == [1]
    transport = PlannedTransport()
    assert deliver(press.sender(transport)).sent == 1
    assert transport.recipients == [BERT]


def test_letters_of_the_time_before_fall_in_doubt_under_no_edition(
    press: Press, backup: Callable[[], Again]
) -> None:
    (anne,) = press.add_subscribers(ANNE)
    now = press.clock()
    with press.sessions.begin() as session:
        insert_mail(session, DeliveryKind.WELCOME, anne, "first", now, now + timedelta(hours=5))
    restore = backup()
    assert deliver(press.sender(PlannedTransport())).sent == 1
    restore()
    assert accept_restored(press.sessions, press.settings, now).doubtful == {0: 1}


def test_a_second_restoring_is_noticed_as_well(
    press: Press, subscribers: list[int], backup: Callable[[], Again]
) -> None:
    press.add_papers(1)
    first = press.publish()
    restore = backup()
    deliver(press.sender(PlannedTransport()))
    restore()
    accept_restored(press.sessions, press.settings, press.clock())
    press.clock.forward(days=1)
    press.add_papers(2, on=SATURDAY)
    press.publish(SATURDAY)
    assert deliver(press.sender(PlannedTransport())).sent == 2
    restore()
    refused(press)
    report = accept_restored(press.sessions, press.settings, press.clock())
    assert report.doubtful == {first: 2}


def test_a_reader_who_left_after_the_backup_is_not_mailed_by_the_restored_one_unasked(
    press: Press, subscribers: list[int], backup: Callable[[], Again]
) -> None:
    press.add_papers(1)
    press.publish()
    restore = backup()
    deliver(press.sender(PlannedTransport()))
    with press.sessions.begin() as session:
        unsubscribe(session, subscribers[0], "test", press.clock())
    restore()
    refused(press)


def test_windows_are_marked_once_a_second_and_each_run_at_its_first(
    press: Press, subscribers: list[int]
) -> None:
    press.add_papers(1)
    press.publish()
    seen: list[str] = []
    beside, _ = watermark_paths(press.settings.data_dir)
    transport = PlannedTransport(lambda _: ACCEPTED)
    transport.meanwhile = lambda: seen.append(beside.read_text())
    deliver(press.sender(transport, send_window=1))
    assert len(seen) == 2
    assert seen[0] == seen[1]
    marker = WatermarkWriter(press.sessions, press.settings)
    marker.note({}, press.clock())
    assert beside.read_text() == seen[0]
    marker.note({press.rows()[1].id: 1}, press.clock())
    assert beside.read_text() != seen[0]


def test_an_edition_of_another_cadence_is_none_of_those_days(
    press: Press, backup: Callable[[], Again]
) -> None:
    press.add_subscribers(ANNE)
    press.add_subscribers(BERT, cadence=Cadence.WEEKLY)
    press.add_papers(1)
    press.publish()
    restore = backup()
    deliver(press.sender(PlannedTransport()))
    restore()
    accept_restored(press.sessions, press.settings, press.clock())
    press.clock.forward(minutes=1)
    weekly = press.publish(cadence=Cadence.WEEKLY)
    assert press.states(weekly) == {"queued": 1}
    with press.sessions() as session:
        assert find_edition(session, Cadence.WEEKLY, FRIDAY) is not None
