"""`paperboy bounces …`: read, fetch, listen, report."""

import io
import os
import signal
import smtplib
import subprocess
import sys
from mailbox import Maildir
from pathlib import Path

import pytest
from support.mail.bounce_mails import SUBSCRIBER, complaint, dsn, letter, refused
from support.newsletter.commands import LATER, NOW, Paperboy
from support.rules import ROOT

MIME_BOMB = b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n' * 1000


@pytest.fixture
def subscribed(paperboy: Paperboy) -> Paperboy:
    assert paperboy(*NOW, "subscribers", "add", SUBSCRIBER, "--confirmed").code == 0
    return paperboy


def write(folder: Path, name: str, raw: bytes) -> str:
    path = folder / name
    path.write_bytes(raw)
    return str(path)


def state_of_subscriber(paperboy: Paperboy) -> str:
    (subscriber,) = paperboy("subscribers", "list", "--json").value
    return str(subscriber["state"])


def test_a_bounce_without_proof_from_us_is_read_and_changes_nothing(
    subscribed: Paperboy, tmp_path: Path
) -> None:
    file = write(tmp_path, "one.eml", dsn())
    (shown,) = subscribed(*LATER, "bounces", "read", file, "--json").value
    assert (shown["file"], shown["verdict"], shown["outcomes"]) == (
        file,
        "address",
        ["unattributed"],
    )
    (recipient,) = shown["recipients"]
    assert (recipient["address"], recipient["code"]) == (SUBSCRIBER, "5.1.1")
    assert recipient["suppressed"] is False
    assert state_of_subscriber(subscribed) == "active"


def test_an_operator_who_vouches_suppresses_the_address(
    subscribed: Paperboy, tmp_path: Path
) -> None:
    file = write(tmp_path, "one.eml", dsn())
    (shown,) = subscribed(*LATER, "bounces", "read", "--trust", file, "--json").value
    assert (shown["recipients"][0]["outcome"], shown["recipients"][0]["suppressed"]) == (
        "recorded",
        True,
    )
    assert state_of_subscriber(subscribed) == "suppressed"
    report = subscribed(*LATER, "bounces", "report")
    assert "no such mailbox" in report.out
    assert subscribed(*LATER, "bounces", "report", "--json").value == {"address": 1}


def test_many_files_and_folders_are_one_table(paperboy: Paperboy, tmp_path: Path) -> None:
    full = dsn(refused(status="5.2.2", reply="smtp; 552 5.2.2 full"))
    first = write(tmp_path, "a.eml", full)
    box = Maildir(tmp_path / "box", create=True)
    box.add(complaint())
    folder = tmp_path / "more"
    folder.mkdir()
    write(folder, "b.eml", letter("hello", sender=SUBSCRIBER, subject="Hello"))
    result = paperboy("bounces", "read", first, str(tmp_path / "box"), str(folder))
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].split() == ["mail", "verdict", "code", "address", "outcome"]
    assert [line.split()[1] for line in lines[1:]] == ["full", "complaint", "not_a_bounce"]


def test_standard_input_is_read_where_no_file_is_named(
    paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(dsn())))
    (shown,) = paperboy("bounces", "read", "--json").value
    assert (shown["file"], shown["verdict"]) == ("stdin", "address")


def test_a_mail_that_cannot_be_read_fails_in_one_line_after_the_others(
    paperboy: Paperboy, tmp_path: Path
) -> None:
    bomb, good = write(tmp_path, "bomb.eml", MIME_BOMB), write(tmp_path, "good.eml", dsn())
    result = paperboy("bounces", "read", bomb, good)
    assert result.code == 1
    assert "1 mail could not be read" in result.complaint
    assert "unreadable" in result.out
    assert SUBSCRIBER in result.out


def test_a_file_that_is_not_there_is_wrong_use(paperboy: Paperboy, tmp_path: Path) -> None:
    result = paperboy("bounces", "read", str(tmp_path / "nothing.eml"))
    assert (result.code, result.out) == (2, "")
    assert "nothing.eml" in result.complaint


def test_the_mailbox_is_fetched_on_request(
    subscribed: Paperboy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert subscribed("bounces", "fetch").code == 2
    monkeypatch.setenv("PAPERBOY_BOUNCE_MAILBOX", f"maildir:{tmp_path}/box")
    assert "not a Maildir" in subscribed("bounces", "fetch").complaint
    Maildir(tmp_path / "box", create=True).add(dsn())
    shown = subscribed(*LATER, "bounces", "fetch")
    assert shown.out == "1 mail read: 1 unattributed; 0 addresses suppressed.\n"
    assert subscribed(*LATER, "bounces", "fetch", "--json").value["mails"] == 0


def test_a_report_without_bounces_says_so(paperboy: Paperboy) -> None:
    assert paperboy("bounces", "report").out == "Nothing came back in 7 days.\n"
    assert paperboy("bounces", "report", "--days", "0").code == 2


def test_listening_needs_a_domain_and_a_free_port(
    paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "BOUNCE_DOMAIN" in paperboy("bounces", "listen").complaint
    monkeypatch.setenv("PAPERBOY_BOUNCE_DOMAIN", "bounces.paperboy.example")
    result = paperboy("bounces", "listen", "--host", "192.0.2.1")
    assert result.code == 2
    assert "cannot listen" in result.complaint
    assert paperboy("bounces", "listen", "--port", "99999").code == 2


def test_the_listener_runs_until_it_is_stopped(
    environment: None, paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERBOY_BOUNCE_DOMAIN", "bounces.paperboy.example")
    command = [sys.executable, "-m", "service.cli", "bounces", "listen", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=os.environ) as process:
        assert process.stdout is not None
        import json

        where = json.loads(process.stdout.readline())
        with smtplib.SMTP("127.0.0.1", where["port"]) as client:
            client.ehlo()
            client.mail("<>")
            assert client.rcpt("bounce+1-forged@bounces.paperboy.example")[0] == 550
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
