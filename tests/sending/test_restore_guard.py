"""A database restored from yesterday's backup does not send mail a second time."""

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
from service.deliveries.store.restores import WHY_DOUBTFUL, get_installation
from service.editions.store.editions import find_edition
from service.operations.daily_report import queue_report
from service.sending.deliver import deliver, resolve, sweep
from service.sending.restore_guard import (
    DatabaseRestored,
    WatermarkWriter,
    accept_restored,
    block_until_accepted,
    find_suspicion,
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
    """Check that nothing is sent, and return the error's text."""
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
    shown = refused(press)
    assert "\n" not in shown
    assert "restored from a backup" in shown
    assert shown.endswith("run: paperboy restored")
    report = accept_restored(press.sessions, press.settings, press.clock.forward(minutes=5))
    assert report.doubtful == {edition_id: 2}
    assert press.states(edition_id) == {"in_doubt": 2}
    assert press.balance(edition_id).closes
    transport = PlannedTransport()
    assert deliver(press.sender(transport)).total == 0
    assert transport.sent == []
    row = press.rows(edition_id)[0]
    with press.sessions() as session:
        (event,) = list_events(session, row)
    assert (event.attempt, event.state, event.detail) == (0, "in_doubt", WHY_DOUBTFUL)
    # The operator may resend, and a second confirmation finds nothing.
    assert resolve(press.sessions, edition_id, "resend", press.clock()) == 2
    assert deliver(press.sender(transport)).sent == 2
    again = accept_restored(press.sessions, press.settings, press.clock())
    assert (again.until, again.doubtful) == (None, {})


@pytest.mark.parametrize("is_confirmed_first", [True, False])
def test_an_edition_missing_in_the_backup_is_made_again_and_not_sent(
    press: Press, subscribers: list[int], backup: Callable[[], Again], is_confirmed_first: bool
) -> None:
    restore = backup()
    press.add_papers(1)
    press.publish()
    assert deliver(press.sender(PlannedTransport())).sent == 2
    restore()
    press.clock.forward(hours=2)
    press.add_papers(1)
    if is_confirmed_first:
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
    # The next day's edition is sent, with the papers marked.
    press.clock.forward(days=1)
    following = press.publish(SATURDAY)
    assert press.states(again) == {"carried": 2}
    transport = PlannedTransport()
    assert deliver(press.sender(transport)).sent == 2
    assert press.states(following) == {"sent": 2}


def test_an_unchanged_database_raises_no_suspicion(press: Press, subscribers: list[int]) -> None:
    press.add_papers(1)
    edition_id = press.publish()
    assert deliver(press.sender(PlannedTransport(lambda _: LATER))).retried == 2
    assert find_suspicion(press.sessions, press.settings, press.clock()) is None
    press.clock.forward(minutes=20)
    assert deliver(press.sender(PlannedTransport())).sent == 2
    assert find_suspicion(press.sessions, press.settings, press.clock()) is None
    assert press.states(edition_id) == {"sent": 2}
    unsuspected = accept_restored(press.sessions, press.settings, press.clock())
    assert (unsuspected.until, unsuspected.doubtful) == (None, {})


@pytest.mark.parametrize("forget", [forget_valkey, forget_files])
def test_one_of_the_two_watermarks_is_enough(
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


def test_watermarks_of_another_database_and_half_written_ones_count_as_lost(
    press: Press, subscribers: list[int], engine: Engine
) -> None:
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    beside, _ = watermark_paths(press.settings.data_dir)
    whole = beside.read_text()
    forget_valkey(press)
    for content in (whole[:20], "", "[]", "{}", whole.replace("+00:00", ""), "\xff"):
        beside.write_text(content, encoding="latin-1")
        assert lost_mark(press)
    beside.write_text(whole.replace('"attempt": 1', '"attempt": 9'))
    assert not lost_mark(press)
    with engine.begin() as connection:
        connection.execute(text("UPDATE installations SET name = gen_random_uuid()"))
    assert lost_mark(press)


def lost_mark(press: Press) -> bool:
    """Return whether the database is suspected because no mark of it is left."""
    suspicion = find_suspicion(press.sessions, press.settings, press.clock())
    assert suspicion is not None
    return suspicion.watermark is None


def test_without_valkey_mail_is_still_sent(press: Press, subscribers: list[int]) -> None:
    away = press.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    press.settings = away
    press.add_papers(1)
    press.publish()
    assert deliver(press.sender(PlannedTransport())).sent == 2
    assert watermark_paths(away.data_dir)[0].exists()


def test_if_the_parent_is_not_writable_the_watermark_is_within_the_data_directory(
    press: Press, tmp_path: Path
) -> None:
    blocked = tmp_path / "data.sent"
    blocked.mkdir()  # writing to a directory fails as in a parent that is not writable
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    assert (tmp_path / "data" / "sent").is_file()
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["sent"]


def test_a_backup_taken_between_claim_and_flight_is_detected_and_not_swept(
    press: Press, subscribers: list[int], backup: Callable[[], Again]
) -> None:
    """Its rows are claimed at the same attempt that was sent afterwards."""
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
        refuse_restored(press.sessions, press.settings, press.clock())
    # Even after a sweep.
    sweep(press.sessions, press.clock())
    refused(press)
    assert accept_restored(press.sessions, press.settings, press.clock()).doubtful == {
        edition_id: 2
    }


def test_rows_due_after_the_watermark_are_sent_after_the_confirmation(
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


def test_earlier_transactional_mail_falls_in_doubt_under_no_edition(
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


def test_a_second_restore_is_detected(
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


def test_a_subscriber_who_left_after_the_backup_is_not_mailed_without_resend(
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


def test_a_watermark_is_written_once_a_second_and_for_the_first_window_of_a_run(
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
    # And for the last window, at the end.
    ended = beside.read_text()
    assert ended != seen[0]
    marker = WatermarkWriter(press.sessions, press.settings)
    marker.note({}, press.clock())
    marker.finish()
    assert beside.read_text() == ended
    marker.note({press.rows()[0].id: 1}, press.clock())
    assert beside.read_text() == seen[0]


def test_a_backup_of_the_last_second_of_a_run_is_detected(
    press: Press, subscribers: list[int], backup: Callable[[], Again]
) -> None:
    """Its first window has the only watermark of that second, and the backup knows it."""
    press.add_papers(1)
    press.publish()
    taken: list[Again] = []
    transport = PlannedTransport()
    transport.meanwhile = lambda: taken.append(backup()) if not taken else None
    assert deliver(press.sender(transport, send_window=1)).sent == 2
    taken[0]()
    refused(press)


def test_an_edition_of_another_cadence_is_not_put_in_doubt(
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
    monday = FRIDAY + timedelta(days=3)
    weekly = press.publish(monday, Cadence.WEEKLY)
    assert press.states(weekly) == {"queued": 1}
    with press.sessions() as session:
        assert find_edition(session, Cadence.WEEKLY, monday) is not None


@pytest.mark.parametrize("is_restored_by_command", [True, False])
def test_an_old_watermark_of_this_host_does_not_hide_mail_that_another_host_sent(
    press: Press, subscribers: list[int], backup: Callable[[], Again], is_restored_by_command: bool
) -> None:
    press.add_papers(1)
    press.publish()
    assert deliver(press.sender(PlannedTransport())).sent == 2
    beside, _ = watermark_paths(press.settings.data_dir)
    old = beside.read_text()
    taken_at = press.clock.forward(hours=21)
    restore = backup()
    press.clock.forward(hours=3)
    press.add_papers(2, on=SATURDAY)
    press.publish(SATURDAY)
    assert deliver(press.sender(PlannedTransport())).sent == 2
    # That host is lost with its watermarks; this one has that of an earlier day.
    sent_until = press.clock()
    forget_valkey(press)
    beside.write_text(old)
    restored_at = press.clock.forward(hours=1)
    if is_restored_by_command:
        with press.sessions() as session:
            installation = get_installation(session)
        block_until_accepted(press.settings, installation, taken_at, restored_at)
        restore()
        accept_restored(press.sessions, press.settings, restored_at)
    else:
        restore()
        beside.write_text(old.replace('"attempt": 1', '"attempt": 9'))
        accept_restored(press.sessions, press.settings, restored_at, sent_until)
    press.add_papers(2, on=SATURDAY)
    again = press.publish(SATURDAY)
    assert press.states(again) == {"in_doubt": 2}
    assert deliver(press.sender(PlannedTransport())).total == 0


@pytest.mark.settings(alert_to="operator@example.org")
def test_a_daily_report_falls_in_no_doubt_and_leaves_no_watermark(
    press: Press, subscribers: list[int], backup: Callable[[], Again]
) -> None:
    press.clock.forward(hours=12)
    assert queue_report(press.sessions, press.settings, press.clock())
    restore = backup()
    assert deliver(press.sender(PlannedTransport())).sent == 1
    # That of the run's start names no row.
    assert '"attempt": 0' in watermark_paths(press.settings.data_dir)[0].read_text()
    press.add_papers(1)
    press.publish()
    assert deliver(press.sender(PlannedTransport())).sent == 2
    restore()
    refused(press)
    assert accept_restored(press.sessions, press.settings, press.clock()).doubtful == {}
    transport = PlannedTransport()
    assert deliver(press.sender(transport)).sent == 1
    assert transport.recipients == ["operator@example.org"]
