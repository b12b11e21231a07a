"""The development mailbox accepts real SMTP and returns messages unchanged."""

import mailbox
import shutil
import smtplib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from service.platform.dev_mailbox import (
    SIZE_LIMIT_BYTES,
    Mailbox,
    NoSuchMessage,
    list_messages,
    load_message,
)

MESSAGE = b"Subject: Morning papers\r\nFrom: paperboy@example.com\r\n\r\n.dot first\r\nlast\r\n"


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    return tmp_path / "data" / "mailbox"


@pytest.fixture
def server(maildir: Path) -> Iterator[Mailbox]:
    with Mailbox(maildir).start() as server:
        yield server


def _connect(server: Mailbox) -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", server.port, timeout=10)


def _send(server: Mailbox, message: bytes = MESSAGE, to: str = "ada@example.com") -> None:
    with _connect(server) as client:
        client.sendmail("bounces+7@example.com", [to], message)


def test_a_message_is_kept_byte_for_byte_below_its_envelope(server: Mailbox, maildir: Path) -> None:
    _send(server)
    (stored,) = list_messages(maildir)
    assert load_message(maildir, stored.key) == (
        b"X-Envelope-From: bounces+7@example.com\r\nX-Envelope-To: ada@example.com\r\n" + MESSAGE
    )


def test_a_listed_message_says_who_what_when_and_how_large(server: Mailbox, maildir: Path) -> None:
    _send(server, b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\nbody\r\n")
    (stored,) = list_messages(maildir)
    assert (stored.to, stored.sender) == ("ada@example.com", "bounces+7@example.com")
    assert stored.subject == "café"
    assert abs(datetime.now(UTC) - stored.received_at) < timedelta(minutes=1)
    assert stored.size == len(load_message(maildir, stored.key))


def test_messages_are_listed_newest_first_and_only_as_many_as_wanted(
    server: Mailbox, maildir: Path
) -> None:
    for number in range(12):
        _send(server, to=f"reader{number}@example.com")
    newest_first = [f"reader{number}@example.com" for number in reversed(range(12))]
    assert [one.to for one in list_messages(maildir)] == newest_first
    assert [one.to for one in list_messages(maildir, limit=3)] == newest_first[:3]


def test_one_message_for_several_people_is_one_file(server: Mailbox, maildir: Path) -> None:
    with _connect(server) as client:
        client.sendmail("a@example.com", ["b@example.com", "c@example.com"], MESSAGE)
    assert [one.to for one in list_messages(maildir)] == ["b@example.com, c@example.com"]


def test_an_address_in_another_script_is_accepted_and_kept(server: Mailbox, maildir: Path) -> None:
    with _connect(server) as client:
        client.ehlo()
        assert client.has_extn("smtputf8")
        client.sendmail("a@example.com", ["用户@example.com"], MESSAGE, ["SMTPUTF8"])
    assert list_messages(maildir)[0].to == "用户@example.com"


def test_the_null_sender_of_a_bounce_is_kept_as_empty(server: Mailbox, maildir: Path) -> None:
    with _connect(server) as client:
        client.sendmail("", ["a@example.com"], MESSAGE)
    assert list_messages(maildir)[0].sender == ""


def test_a_message_over_the_announced_size_is_refused_and_leaves_nothing(
    server: Mailbox, maildir: Path
) -> None:
    with _connect(server) as client:
        client.ehlo()
        assert client.esmtp_features["size"] == str(SIZE_LIMIT_BYTES) == "10000000"
        # smtplib announces the size itself, so the first refusal is for MAIL FROM.
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            client.sendmail("a@example.com", ["b@example.com"], (b"x" * 998 + b"\r\n") * 10_100)
        assert refused.value.smtp_code == 552
        client.sendmail("a@example.com", ["b@example.com"], MESSAGE)
    assert len(list_messages(maildir)) == 1


def test_a_message_that_hides_its_size_is_refused_after_data(
    server: Mailbox, maildir: Path
) -> None:
    with _connect(server) as client:
        client.ehlo()
        client.mail("a@example.com")
        client.rcpt("b@example.com")
        code, _ = client.data((b"x" * 998 + b"\r\n") * 10_100)
        assert code == 552
    assert list_messages(maildir) == []


def test_a_line_that_rfc_5321_forbids_is_refused(server: Mailbox, maildir: Path) -> None:
    with pytest.raises(smtplib.SMTPDataError) as refused:
        _send(server, b"Subject: long\r\n\r\n" + b"x" * 2000 + b"\r\n")
    assert refused.value.smtp_code == 500
    assert list_messages(maildir) == []


def test_a_mailbox_that_cannot_write_asks_for_another_try(server: Mailbox, maildir: Path) -> None:
    shutil.rmtree(maildir)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        _send(server)
    assert refused.value.smtp_code == 452


def test_no_key_allows_path_traversal(server: Mailbox, maildir: Path) -> None:
    (maildir.parent / "secret_key").write_text("s3cret")
    (maildir / "tmp" / "half").write_text("not arrived")
    for key in (
        "../../secret_key",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a/b",
        "a\x00b",
        "half",
        "*",
        "a\n",
    ):
        with pytest.raises(NoSuchMessage):
            load_message(maildir, key)


def test_an_envelope_cannot_add_headers_of_its_own(server: Mailbox, maildir: Path) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as raw, raw.makefile("rb") as replies:
        for line in (
            b"EHLO x",
            b"MAIL FROM:<a@b.c>",
            b"RCPT TO:<d\nX-Evil:1@b.c>",
            b"RCPT TO:<e@b.c>",
        ):
            raw.sendall(line + b"\r\n")
        raw.sendall(b"DATA\r\n" + MESSAGE + b".\r\nQUIT\r\n")
        conversation = replies.read()
    assert b"kept as" in conversation
    (stored,) = list_messages(maildir)
    assert b"\nX-Evil" not in load_message(maildir, stored.key)


def test_a_message_that_a_mail_reader_moved_is_still_found(server: Mailbox, maildir: Path) -> None:
    _send(server)
    (stored,) = list_messages(maildir)
    (maildir / "new" / stored.key).rename(maildir / "cur" / f"{stored.key}:2,S")
    assert [one.key for one in list_messages(maildir)] == [stored.key]
    assert load_message(maildir, stored.key).endswith(MESSAGE)


def test_the_standard_librarys_maildir_reads_it(server: Mailbox, maildir: Path) -> None:
    _send(server)
    messages = list(mailbox.Maildir(maildir))
    assert [one["Subject"] for one in messages] == ["Morning papers"]


def test_nothing_is_lost_when_many_connections_send_at_once(server: Mailbox, maildir: Path) -> None:
    def deliver(sender: int) -> None:
        with _connect(server) as client:
            for number in range(50):
                client.sendmail("a@example.com", [f"r{sender}-{number}@example.com"], MESSAGE)

    threads = [Thread(target=deliver, args=(sender,)) for sender in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.to for one in list_messages(maildir)}) == 300
    assert list((maildir / "tmp").iterdir()) == []


def test_an_empty_or_missing_mailbox_lists_nothing(tmp_path: Path) -> None:
    assert list_messages(tmp_path / "nowhere") == []


def test_a_taken_port_is_an_error_at_once(server: Mailbox, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="in use"):
        Mailbox(tmp_path / "second").start(port=server.port)


def test_stopping_ends_open_connections_and_may_be_repeated(maildir: Path) -> None:
    server = Mailbox(maildir).start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as idle:
        assert idle.recv(100).startswith(b"220 ")
        server.stop()
        server.stop()
        assert idle.recv(100) == b""
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.port


def test_a_mailbox_can_be_started_again_and_keeps_what_it_had(maildir: Path) -> None:
    server = Mailbox(maildir)
    for _ in range(2):
        with server.start():
            _send(server)
    assert len(list_messages(maildir)) == 2
