"""Bounces that wait in a mailbox: each is handed out once it is there, and marked once taken."""

import ssl
from mailbox import Maildir
from pathlib import Path
from urllib.parse import quote

import pytest
from support.mail.bounce_mails import dsn, letter
from support.mail.imap_server import LOGIN, ImapServer
from support.smtp.scripted_smtp import make_certificate, server_context

from service.bounces.inbound.mailbox import MailboxUnavailable, fetch_mailbox


class Interrupted(Exception):
    """The process dies while a message is taken."""


def die(_raw: bytes) -> None:
    raise Interrupted


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    box = Maildir(tmp_path / "box", create=True)
    for raw in (dsn(), letter("one"), letter("two")):
        box.add(raw)
    return tmp_path / "box"


def test_every_message_of_a_maildir_is_handed_out_once(maildir: Path) -> None:
    taken: list[bytes] = []
    assert fetch_mailbox(f"maildir:{maildir}", taken.append) == 3
    assert sorted(taken) == sorted([dsn(), letter("one"), letter("two")])
    assert fetch_mailbox(f"maildir:{maildir}", taken.append) == 0
    assert len(list((maildir / "cur").iterdir())) == 3
    assert list((maildir / "new").iterdir()) == []


def test_a_message_that_was_not_taken_stays_new(maildir: Path) -> None:
    with pytest.raises(Interrupted):
        fetch_mailbox(f"maildir:{maildir}", die)
    taken: list[bytes] = []
    assert fetch_mailbox(f"maildir:{maildir}", taken.append) == 3


def test_a_message_that_somebody_takes_away_meanwhile_is_no_error(maildir: Path) -> None:
    def take_and_delete(_raw: bytes) -> None:
        for file in (maildir / "new").iterdir():
            file.unlink()

    for file in sorted((maildir / "new").iterdir())[1:]:
        file.unlink()
    assert fetch_mailbox(f"maildir:{maildir}", take_and_delete) == 1


def test_a_maildir_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MailboxUnavailable, match="not a Maildir"):
        fetch_mailbox(f"maildir:{tmp_path}/nowhere", die)


def address(server: ImapServer, folder: str = "") -> str:
    user, password = LOGIN
    return f"imap://{user}:{quote(password)}@127.0.0.1:{server.port}{folder}"


def test_every_unseen_message_of_a_folder_is_handed_out_and_marked() -> None:
    taken: list[bytes] = []
    with ImapServer({1: b"old", 2: dsn(), 3: letter("two"), 4: b""}, seen={1}) as server:
        assert fetch_mailbox(address(server, "/Bounced%20%22mail%22"), taken.append) == 2
        assert fetch_mailbox(address(server), taken.append) == 0
    assert taken == [dsn(), letter("two")]
    assert server.seen == {1, 2, 3, 4}
    assert server.selected == ['"Bounced \\"mail\\""', '"INBOX"']


def test_a_message_of_a_folder_that_was_not_taken_stays_unseen() -> None:
    with ImapServer({1: dsn()}) as server, pytest.raises(Interrupted):
        fetch_mailbox(address(server), die)
    assert server.seen == set()


@pytest.mark.parametrize("command", ["LOGIN", "SELECT", "UID SEARCH", "UID FETCH", "UID STORE"])
def test_a_folder_that_is_refused_is_named_without_its_password(command: str) -> None:
    taken: list[bytes] = []
    with (
        ImapServer({1: dsn()}, refuses={command}) as server,
        pytest.raises(MailboxUnavailable) as caught,
    ):
        fetch_mailbox(address(server), taken.append)
    assert "127.0.0.1" in str(caught.value)
    assert "password" not in str(caught.value)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    for scheme in ("imap", "imaps"):
        with pytest.raises(MailboxUnavailable, match="refused"):
            fetch_mailbox(f"{scheme}://user:secret@127.0.0.1:1/INBOX", die)


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context, whose certificate this process trusts."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return server_context(certificate)


def test_an_imap_mailbox_is_read_over_starttls(trusted: ssl.SSLContext) -> None:
    taken: list[bytes] = []
    with ImapServer({1: dsn()}, tls=trusted) as server:
        assert fetch_mailbox(f"{address(server)}?starttls=required", taken.append) == 1
    assert server.logins == ["LOGIN over TLS"]


def test_a_server_without_starttls_gets_no_password() -> None:
    with ImapServer({1: dsn()}, refuses={"STARTTLS"}) as server, pytest.raises(MailboxUnavailable):
        fetch_mailbox(f"{address(server)}?starttls=required", die)
    assert server.logins == []


def test_the_access_token_of_xoauth2_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    taken: list[bytes] = []
    token = tmp_path / "token"
    with ImapServer({1: dsn()}) as server:
        for word in ("first", "second"):
            token.write_text(f"{word}\n")
            fetch_mailbox(
                f"imap://me%40x.example@127.0.0.1:{server.port}?token={token}", taken.append
            )
        token.unlink()
        with pytest.raises(MailboxUnavailable, match="No such file"):
            fetch_mailbox(f"imap://me@127.0.0.1:{server.port}?token={token}", die)
    assert server.logins == [
        f"user=me@x.example\1auth=Bearer {word}\1\1" for word in ("first", "second")
    ]
