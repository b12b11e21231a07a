"""A hostile mail among bounces is put in quarantine once, and all the others are recorded."""

import os
import resource
import smtplib
import sys
from collections.abc import Callable
from datetime import timedelta
from mailbox import Maildir
from pathlib import Path

import pytest
from sqlalchemy import select
from support.mail.bounce_mails import dsn, refused
from support.mail.hostile_mails import BEYOND_BUDGET, TOO_DEEP, WITHIN_BUDGET
from support.mail.imap_server import LOGIN, ImapServer
from support.newsletter.bounce_press import count_events, path_of
from support.newsletter.press import PlannedTransport, Press

from service.bounces.inbound.confined_parser import PARSER, ConfinedParser, ParserUnavailable
from service.bounces.inbound.mailbox import MailboxUnavailable
from service.bounces.inbound.mime_parts import NotReadable
from service.bounces.inbound.parser_process import MEMORY_BYTES
from service.bounces.quarantine import (
    KEPT,
    MOST_FILES,
    delete_old_files,
    quarantine_file,
    store_quarantined,
)
from service.bounces.record import Tally, fetch_bounce_mailbox, open_listener
from service.bounces.store.models import QuarantinedMail
from service.deliveries.domain.states import BounceVerdict, DeliveryKind
from service.operations.monitoring import BETWEEN_QUARANTINES, report_troubles
from service.operations.status import find_status
from service.sending.deliver import deliver

SUBSCRIBERS = tuple(f"reader{number}@example.org" for number in range(1, 5))
HOSTILE = {**BEYOND_BUDGET, **WITHIN_BUDGET}
Deed = Callable[[], object]


@pytest.fixture
def bounces(press: Press) -> list[bytes]:
    """Send a digest to each subscriber; return the bounces that come back."""
    press.settings = press.settings.model_copy(update={"alert_to": "desk@example.org"})
    press.add_subscribers(*SUBSCRIBERS)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    return [
        dsn(refused(address), to=path_of(press, row), message_id=f"<{row.id}@mx.example>")
        for address, row in zip(SUBSCRIBERS, press.rows(), strict=True)
    ]


def around(bounces: list[bytes], hostile: dict[str, bytes]) -> list[bytes]:
    """Return the hostile mails in the middle of the bounces."""
    return [*bounces[:2], *hostile.values(), *bounces[2:]]


def fetch(press: Press, mailbox: str) -> Tally:
    settings = press.settings.model_copy(update={"bounce_mailbox": mailbox})
    return fetch_bounce_mailbox(press.sessions, settings, press.clock)


def fetch_imap(press: Press, server: ImapServer) -> Tally:
    user, password = (part.replace(" ", "%20") for part in LOGIN)
    return fetch(press, f"imap://{user}:{password}@127.0.0.1:{server.port}")


def rows(press: Press) -> list[QuarantinedMail]:
    with press.sessions() as session:
        return list(session.scalars(select(QuarantinedMail).order_by(QuarantinedMail.id)))


def alerts(press: Press) -> list[str]:
    report_troubles(press.sessions, press.settings, press.clock())
    mails = [row.alert or {} for row in press.rows() if row.kind is DeliveryKind.OPERATOR_ALERT]
    return [mail["subject"] for mail in mails if "quarantine" in mail["subject"]]


def test_hostile_mails_in_an_imap_mailbox_cost_no_bounce(
    press: Press, bounces: list[bytes]
) -> None:
    mails = dict(enumerate(around(bounces, HOSTILE), 1))
    with ImapServer(dict(mails)) as server:
        total = fetch_imap(press, server)
        assert total.outcomes["recorded"] == count_events(press) == len(bounces)
        # The one that is empty is no mail to an IMAP client.
        assert (total.mails, total.unreadable) == (len(mails) - 1, len(BEYOND_BUDGET))
        assert server.folders == {"Quarantine": list(BEYOND_BUDGET.values())}
        assert fetch_imap(press, server).mails == 0
    reasons = [row.reason for row in rows(press)]
    assert [reason.split(" ")[0] for reason in reasons] == ["the", "it", "the", "it", "it"]
    assert {row.place for row in rows(press)} == {"the mailbox's folder Quarantine"}


def test_quarantined_mails_are_reported_once(press: Press, bounces: list[bytes]) -> None:
    hostile = BEYOND_BUDGET["nested parts"]
    with ImapServer(dict(enumerate(around(bounces, {"": hostile}), 1))) as server:
        fetch_imap(press, server)
        subject = "1 mail to the bounce address in quarantine"
        assert alerts(press) == alerts(press) == [subject]
        # The same mail comes again, and later two others do.
        server.messages |= {50: hostile}
        fetch_imap(press, server)
        press.clock.now += 2 * BETWEEN_QUARANTINES
        assert alerts(press) == [subject]
        server.messages |= {51: hostile + b"1", 52: hostile + b"2"}
        fetch_imap(press, server)
        both = [subject, "2 mails to the bounce address in quarantine"]
        assert alerts(press) == alerts(press) == both
    status = find_status(press.sessions, press.settings, press.clock().date(), press.clock())
    assert status.quarantined_count == 3
    assert "parts" in status.quarantined[0].reason


@pytest.mark.parametrize(("extensions", "stays"), [("MOVE", False), ("UIDPLUS", False), ("", True)])
def test_an_imap_server_without_an_extension_still_quarantines(
    press: Press, extensions: str, *, stays: bool
) -> None:
    hostile = BEYOND_BUDGET["nested parts"]
    with ImapServer({1: hostile}, extensions=extensions) as server:
        fetch_imap(press, server)
        assert server.folders == {"Quarantine": [hostile]}
        assert (1 in server.messages) is stays
        assert fetch_imap(press, server).mails == 0


@pytest.mark.parametrize("refused", ['CREATE "Quarantine"', "CREATE", "UID MOVE"])
def test_a_mail_that_cannot_be_moved_is_not_read_again(press: Press, refused: str) -> None:
    with ImapServer({1: BEYOND_BUDGET["nested parts"]}, refuses={refused}) as server:
        assert fetch_imap(press, server).unreadable == 1
        assert fetch_imap(press, server).mails == 0
        is_moved = "INBOX.Quarantine" in server.folders
    assert is_moved is (refused == 'CREATE "Quarantine"')
    assert len(rows(press)) == 1


@pytest.mark.parametrize("hostile", [BEYOND_BUDGET["nested parts"], TOO_DEEP], ids=["slow", "deep"])
def test_hostile_mails_in_a_maildir_are_moved_to_the_data_directory(
    press: Press, bounces: list[bytes], tmp_path: Path, hostile: bytes
) -> None:
    box = Maildir(tmp_path / "box", create=True)
    for number, raw in enumerate(around(bounces, {"": hostile})):
        (tmp_path / "box/new" / f"mail{number}").write_bytes(raw)
    total = fetch(press, f"maildir:{tmp_path}/box")
    assert (total.outcomes["recorded"], total.unreadable) == (len(bounces), 1)
    assert len(list(box.iterkeys())) == len(bounces)
    file = quarantine_file(press.settings, hostile)
    assert file.read_bytes() == hostile
    assert [row.place for row in rows(press)] == [str(file)]
    assert fetch(press, f"maildir:{tmp_path}/box").mails == 0


def test_a_maildir_message_stays_where_the_quarantine_cannot_be_written(
    press: Press, tmp_path: Path
) -> None:
    hostile = BEYOND_BUDGET["nested parts"]
    quarantine = quarantine_file(press.settings, hostile).parent
    quarantine.parent.mkdir(parents=True, exist_ok=True)
    quarantine.touch()
    Maildir(tmp_path / "box", create=True).add(hostile)
    assert fetch(press, f"maildir:{tmp_path}/box").unreadable == 1
    assert fetch(press, f"maildir:{tmp_path}/box").mails == 0


def test_the_listener_accepts_a_hostile_mail_and_quarantines_it(
    press: Press, bounces: list[bytes]
) -> None:
    address = path_of(press, press.rows()[0])
    hostile = BEYOND_BUDGET["numbered parameters"].replace(b"; ", b";\r\n ")
    with (
        open_listener(press.sessions, press.settings, press.clock).start() as started,
        smtplib.SMTP("127.0.0.1", started.port) as client,
    ):
        for raw in (bounces[0], hostile, bounces[1]):
            client.sendmail("", [address], raw)
    assert count_events(press) == 2
    (row,) = rows(press)
    assert "processor time" in row.reason
    assert Path(row.place).stat().st_mode & 0o777 == 0o600
    assert b"a*299999*=x" in Path(row.place).read_bytes()


def test_the_quarantine_does_not_fill_the_disk(press: Press) -> None:
    places = [store_quarantined(press.settings, b"%d" % number) for number in range(MOST_FILES + 1)]
    assert len(set(places)) == MOST_FILES + 1
    assert "full" in places[-1]
    assert len(list(Path(places[0]).parent.iterdir())) == MOST_FILES


def test_a_mail_that_fills_the_parsers_memory_is_quarantined_and_the_next_one_read(
    press: Press, bounces: list[bytes], tmp_path: Path
) -> None:
    PARSER.parse(bounces[0])
    first = PARSER._child
    assert first is not None
    found = resource.prlimit(first.pid, resource.RLIMIT_AS)
    assert found == (MEMORY_BYTES, MEMORY_BYTES)
    # Every mail we know needs too much processor time before it needs as much memory.
    resource.prlimit(first.pid, resource.RLIMIT_AS, (MEMORY_BYTES // 3, MEMORY_BYTES // 3))
    hostile = b"From: MAILER-DAEMON@mx.example\n\n" + b"\xe9\n" * 2_000_000
    Maildir(tmp_path / "box", create=True)
    for number, raw in enumerate(around(bounces, {"": hostile})):
        (tmp_path / "box/new" / f"mail{number}").write_bytes(raw)
    total = fetch(press, f"maildir:{tmp_path}/box")
    assert (total.outcomes["recorded"], total.unreadable) == (len(bounces), 1)
    assert [row.reason for row in rows(press)] == ["it needs more than 512 MiB of memory"]
    assert PARSER._child is not first
    assert first.returncode is not None


def test_quarantined_files_are_deleted_after_a_month(press: Press) -> None:
    now = press.clock()
    old, new = (Path(store_quarantined(press.settings, raw)) for raw in (b"old", b"new"))
    for file, age in ((old, KEPT + timedelta(hours=1)), (new, KEPT - timedelta(hours=1))):
        written = (now - age).timestamp()
        os.utime(file, (written, written))
    press.settings.data_dir.joinpath("quarantine", "notes.txt").touch()
    bounces_task = delete_old_files(press.settings, now)
    assert (bounces_task, old.exists(), new.exists()) == (1, False, True)
    assert delete_old_files(press.settings, now) == 0
    assert delete_old_files(press.settings, now + KEPT) == 1
    assert press.settings.data_dir.joinpath("quarantine", "notes.txt").exists()


READY = "import os, sys, time; sys.stdout.buffer.write(b'\\0\\0\\0\\5ready'); sys.stdout.flush();"
READ = "sys.stdin.buffer.read(4);"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("os.kill(os.getpid(), 11)", "ended with SIGSEGV"),
        ("sys.exit(3)", "ended with status 3"),
        ("time.sleep(600)", "not parsed after"),
        ("sys.stdout.buffer.write(b'\\0\\0\\0\\1x'); sys.stdout.flush(); time.sleep(600)", "else"),
    ],
)
def test_a_parser_that_crashes_or_hangs_costs_one_mail(
    program: str, reason: str, tmp_path: Path
) -> None:
    command = (
        sys.executable,
        "-c",
        f"open({str(tmp_path / 'starts')!r}, 'a').write('x'); {READY} {READ} {program}",
    )
    parser = ConfinedParser(command, most_seconds=30 if "else" in reason else 3)
    with pytest.raises(NotReadable, match=reason):
        parser.parse(dsn())
    # One that ended by itself is tried again, since something else may have ended it.
    assert (tmp_path / "starts").read_text() == ("xx" if "ended" in reason else "x")
    parser.close()


@pytest.mark.parametrize("command", [(sys.executable, "-c", ""), ("/nowhere/python",)])
def test_without_a_parser_no_mail_is_at_fault(command: tuple[str, ...]) -> None:
    with pytest.raises(ParserUnavailable) as caught:
        ConfinedParser(command).parse(dsn())
    assert isinstance(caught.value, MailboxUnavailable)


def test_a_child_that_something_ended_between_mails_is_replaced() -> None:
    parser = ConfinedParser()
    assert parser.parse(dsn()).verdict is BounceVerdict.ADDRESS
    child = parser._child
    assert child is not None
    child.kill()
    child.wait()
    assert parser.parse(dsn()).verdict is BounceVerdict.ADDRESS
    assert parser._child is not child
    parser.close()


def test_the_child_sees_no_secret_and_one_child_parses_many_mails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAPERBOY_SECRET_KEY", "a secret")
    parser = ConfinedParser()
    assert parser.parse(dsn()) == parser.parse(dsn())
    child = parser._child
    assert child is not None
    assert b"secret" not in Path(f"/proc/{child.pid}/environ").read_bytes()
    assert child.poll() is None
    parser.close()
    assert child.returncode is not None
