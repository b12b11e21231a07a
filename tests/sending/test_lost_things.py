"""What is lost, and what happens then: the table in docs/operations.md, row by row."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import redis
from support.newsletter.press import PlannedTransport, Press
from support.servers.dumps import Again
from support.smtp.smtp_sink import SmtpSink
from support.web.papers import FRIDAY

from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import insert_mail
from service.sending.deliver import deliver
from service.sending.report import DeliverReport
from service.sending.restore_guard import (
    DatabaseRestored,
    MarkUnwritten,
    WrongAnswer,
    accept_newest,
    accept_restored,
)
from service.sending.watermark_files import watermark_paths

SATURDAY, SUNDAY = FRIDAY + timedelta(days=1), FRIDAY + timedelta(days=2)
NAMES = [f"reader{number:03}@example.org" for number in range(24)]


def send(press: Press) -> DeliverReport:
    """Send what is due over SMTP."""
    sender = press.sender()
    try:
        return deliver(sender)
    finally:
        sender.transport.close()


def assert_nothing_is_sent(press: Press, sink: SmtpSink) -> str:
    """Check that nothing is sent, and return what the operator reads."""
    before = len(sink.seen)
    with pytest.raises(DatabaseRestored) as caught:
        send(press)
    assert len(sink.seen) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def welcome(press: Press, subscriber: int, occasion: str = "first") -> None:
    now = press.clock()
    with press.sessions.begin() as session:
        insert_mail(
            session, DeliveryKind.WELCOME, subscriber, occasion, now, now + timedelta(days=3)
        )


def lose_valkey(press: Press) -> None:
    with redis.Redis.from_url(press.settings.redis_url) as client:
        client.flushdb()


def lose_file(press: Press) -> None:
    for path in watermark_paths(press.settings.data_dir):
        path.unlink(missing_ok=True)


def lose_machine(press: Press, home: Path) -> None:
    """Go on with another machine, on which there is nothing of this one."""
    lose_valkey(press)
    press.settings = press.settings.model_copy(update={"data_dir": home / "other machine"})


@dataclass
class OldMachine:
    """An installation whose backup was taken in the middle of Friday's edition, with all that it
    sent by its end on Saturday. Copies of one mail have its recipient and subject.
    """

    press: Press
    sink: SmtpSink
    restore: Again
    ids: list[int] = field(default_factory=list)
    ended_at: datetime = field(init=False)

    def copies(self) -> Counter[tuple[str, str]]:
        return Counter(
            (mail.envelope.rcpt_tos[0], str(mail.message["Subject"])) for mail in self.sink.seen
        )

    def assert_no_second_copy_follows(self) -> None:
        """Live through the same days once more, and one day beyond them."""
        before = self.copies()
        press = self.press
        send(press)
        press.add_papers(2, on=SATURDAY)
        again = press.publish(SATURDAY)
        send(press)
        assert self.copies() == before
        assert press.balance(again).closes
        press.clock.forward(days=1)
        press.add_papers(3, on=SUNDAY)
        last = press.publish(SUNDAY)
        assert send(press).sent == len(self.ids)
        assert press.states(last) == {"sent": len(self.ids)}
        assert set(self.copies().values()) == {1}


def run_old_machine(
    press: Press, sink: SmtpSink, backup: Callable[[], Again], names: list[str]
) -> OldMachine:
    ids = press.add_subscribers(*names)
    press.add_papers(1)
    press.publish()
    taken: list[Again] = []

    def take(_address: str) -> None:
        if len(sink.seen) == len(names) // 2:
            taken.append(backup())

    sink.on_data = take
    assert send(press).sent == len(names)
    sink.on_data = lambda _: None
    press.clock.forward(minutes=10)
    welcome(press, ids[0])
    assert send(press).sent == 1
    press.clock.forward(days=1)
    press.add_papers(2, on=SATURDAY)
    press.publish(SATURDAY)
    assert send(press).sent == len(names)
    (restore,) = taken
    old = OldMachine(press, sink, restore, ids)
    old.ended_at = press.clock()
    press.clock.forward(minutes=20)
    return old


@pytest.fixture
def old(press: Press, smtp_sink: SmtpSink, backup: Callable[[], Again]) -> OldMachine:
    return run_old_machine(press, smtp_sink, backup, NAMES)


@pytest.mark.parametrize(("lose", "other"), [(lose_valkey, lose_file), (lose_file, lose_valkey)])
def test_one_lost_mark_is_written_again_and_mail_goes_on(
    old: OldMachine, lose: Callable[[Press], None], other: Callable[[Press], None]
) -> None:
    lose(old.press)
    assert send(old.press).total == 0
    # Now the other place may be lost as well: neither is a loss of both.
    other(old.press)
    welcome(old.press, old.ids[1])
    assert send(old.press).sent == 1
    # And what was written again shows a restored database.
    lose(old.press)
    old.restore()
    assert "restored from a backup" in assert_nothing_is_sent(old.press, old.sink)


def test_with_both_marks_lost_nothing_is_sent_until_the_operator_answers(old: OldMachine) -> None:
    press = old.press
    welcome(press, old.ids[1], "waits")
    lose_valkey(press)
    lose_file(press)
    shown = assert_nothing_is_sent(press, old.sink)
    assert "paperboy restored --until TIME" in shown
    assert "--nothing-lost" in shown
    assert accept_newest(press.sessions, press.settings, press.clock())
    assert send(press).sent == 1
    assert not accept_newest(press.sessions, press.settings, press.clock())
    old.assert_no_second_copy_follows()


def test_with_a_lost_database_the_marks_say_how_far_sending_came(old: OldMachine) -> None:
    old.restore()
    assert_nothing_is_sent(old.press, old.sink)
    # They prove that something is lost.
    with pytest.raises(WrongAnswer, match=r"mail was sent until 2026-09-19T05:10Z"):
        accept_newest(old.press.sessions, old.press.settings, old.press.clock())
    report = accept_restored(old.press.sessions, old.press.settings, old.press.clock())
    assert report.until == old.ended_at + timedelta(seconds=1)
    old.assert_no_second_copy_follows()


@pytest.mark.slow
@pytest.mark.parametrize(("count", "knows_time"), [(300, True), (300, False)])
def test_a_lost_machine_and_its_backup_mail_nobody_twice(
    press: Press,
    smtp_sink: SmtpSink,
    backup: Callable[[], Again],
    tmp_path: Path,
    count: int,
    knows_time: bool,
) -> None:
    names = [f"reader{number:04}@example.org" for number in range(count)]
    old = run_old_machine(press, smtp_sink, backup, names)
    lose_machine(press, tmp_path)
    old.restore()
    states = Counter(str(row.state) for row in press.rows())
    assert states["sent"] > 0
    assert states["queued"] + states["claimed"] + states["in_flight"] > 0
    # Nothing at all: neither the rest of Friday's edition, nor a new one, nor a new reader's welcome.
    press.add_papers(2, on=SATURDAY)
    press.publish(SATURDAY)
    welcome(press, old.ids[5], "new")
    for _ in range(3):
        press.clock.forward(minutes=2)
        assert_nothing_is_sent(press, smtp_sink)
    until = old.ended_at if knows_time else None
    report = accept_restored(press.sessions, press.settings, press.clock(), until)
    assert sum(report.doubtful.values()) >= len(names) - states["sent"]
    # Only the new reader's welcome, which is later than all that the old machine sent.
    assert send(press).sent == knows_time
    old.assert_no_second_copy_follows()


def test_a_mark_on_other_storage_outlives_the_machine(
    press: Press, smtp_sink: SmtpSink, backup: Callable[[], Again], tmp_path: Path
) -> None:
    storage = tmp_path / "other storage"
    storage.mkdir()
    press.settings = press.settings.model_copy(update={"sent_mark": storage / "paperboy.sent"})
    old = run_old_machine(press, smtp_sink, backup, NAMES)
    lose_machine(press, tmp_path)
    old.restore()
    assert_nothing_is_sent(press, smtp_sink)
    report = accept_restored(press.sessions, press.settings, press.clock())
    assert report.until == old.ended_at + timedelta(seconds=1)
    old.assert_no_second_copy_follows()


def test_marks_of_an_old_image_of_the_machine_count_as_lost(
    press: Press, smtp_sink: SmtpSink, backup: Callable[[], Again]
) -> None:
    """The machine comes from last week's image with its marks, the database from a newer dump."""
    ids = press.add_subscribers(*NAMES)
    welcome(press, ids[0])
    send(press)
    image = watermark_paths(press.settings.data_dir)[0].read_text()
    press.clock.forward(days=5)
    welcome(press, ids[0], "second")
    send(press)
    send(press)
    welcome(press, ids[1])
    restore = backup()
    send(press)
    lose_valkey(press)
    watermark_paths(press.settings.data_dir)[0].write_text(image)
    restore()
    assert "no sent mark of it is left" in assert_nothing_is_sent(press, smtp_sink)


def test_an_image_of_the_whole_machine_shows_nothing_but_the_operator_may_say_it(
    old: OldMachine, backup: Callable[[], Again]
) -> None:
    """Marks that go back in time along with the database cannot tell."""
    press = old.press
    path = watermark_paths(press.settings.data_dir)[0]
    mark, image = path.read_text(), backup()
    press.clock.forward(hours=24)
    press.add_papers(3, on=SUNDAY)
    press.publish(SUNDAY)
    sent_at = press.clock()
    assert send(press).sent == len(NAMES)
    image()
    path.write_text(mark)
    lose_valkey(press)
    press.clock.forward(minutes=5)
    accept_restored(press.sessions, press.settings, press.clock(), sent_at)
    before = old.copies()
    press.add_papers(3, on=SUNDAY)
    press.publish(SUNDAY)
    assert send(press).sent == 0
    assert old.copies() == before


def test_of_two_live_copies_that_share_a_place_one_is_refused(
    old: OldMachine, backup: Callable[[], Again]
) -> None:
    """The machine is cloned while it runs; both have the same Valkey."""
    press = old.press
    clone = backup()
    welcome(press, old.ids[1])
    assert send(press).sent == 1
    clone()
    lose_file(press)
    assert_nothing_is_sent(press, old.sink)


def test_a_dump_of_the_moment_of_the_first_mail_knows_that_there_is_a_mark(
    press: Press, smtp_sink: SmtpSink, backup: Callable[[], Again], tmp_path: Path
) -> None:
    press.add_subscribers(*NAMES)
    press.add_papers(1)
    press.publish()
    taken: list[Again] = []

    def take(_address: str) -> None:
        if not taken:
            assert watermark_paths(press.settings.data_dir)[0].exists()
            taken.append(backup())

    smtp_sink.on_mail = take
    assert send(press).sent == len(NAMES)
    lose_machine(press, tmp_path)
    taken[0]()
    assert_nothing_is_sent(press, smtp_sink)


def test_a_sender_that_dies_after_its_first_mark_goes_on(press: Press, smtp_sink: SmtpSink) -> None:
    """The file is there, and the database does not remember it yet."""
    (anne,) = press.add_subscribers(NAMES[0])
    send(press)
    lose_valkey(press)
    with press.sessions.begin() as session:
        session.connection().exec_driver_sql("UPDATE installations SET marked_at = NULL")
    welcome(press, anne)
    assert send(press).sent == 1
    lose_file(press)
    lose_valkey(press)
    assert_nothing_is_sent(press, smtp_sink)


def test_a_new_installation_that_can_keep_no_mark_sends_nothing(
    press: Press, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("")
    press.settings = press.settings.model_copy(
        update={"data_dir": blocked / "data", "redis_url": "redis://127.0.0.1:1/0"}
    )
    (anne,) = press.add_subscribers(NAMES[0])
    welcome(press, anne)
    with pytest.raises(MarkUnwritten, match=r"cannot be written to .*data\.sent or Valkey"):
        send(press)
    assert smtp_sink.seen == []


def test_a_database_that_never_sent_is_not_refused(press: Press, smtp_sink: SmtpSink) -> None:
    (anne,) = press.add_subscribers(NAMES[0])
    welcome(press, anne)
    assert send(press).sent == 1
    assert smtp_sink.recipients() == [NAMES[0]]


def test_a_clock_that_was_wrong_stops_nothing(press: Press) -> None:
    (anne,) = press.add_subscribers(NAMES[0])
    press.clock.forward(days=400)
    welcome(press, anne)
    transport = PlannedTransport()
    assert deliver(press.sender(transport)).sent == 1
    press.clock.forward(days=-400)
    for occasion in ("second", "third"):
        welcome(press, anne, occasion)
        assert deliver(press.sender(transport)).sent == 1
        press.clock.forward(minutes=5)
        assert deliver(press.sender(transport)).total == 0
    press.clock.forward(days=2)
    assert deliver(press.sender(transport)).total == 0
