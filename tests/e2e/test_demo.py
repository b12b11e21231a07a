"""`paperboy demo` end to end: sign-up, papers, digest, mail and unsubscribe; run twice."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.rules import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SUBSCRIBER = "reader@example.org"


def environment(data_dir: Path) -> dict[str, str]:
    """Return default settings with this data directory and unreachable sources."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("PAPERBOY_")
    }
    return inherited | {
        "PAPERBOY_DATA_DIR": str(data_dir),
        "PAPERBOY_ARXIV_FEED_URL": "http://127.0.0.1:1",
    }


def paperboy(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.cli", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(data_dir),
        timeout=120,
    )


@contextmanager
def staying_demo(data_dir: Path) -> Iterator[Any]:
    """Run a demo that stays up and yield its JSON report; it must exit cleanly on Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "--json", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(data_dir),
    )
    assert process.stdout
    try:
        assert select.select([process.stdout], [], [], 120)[0], "nothing came within two minutes"
        line = process.stdout.readline()
        assert line, process.communicate(timeout=60)[1]
        yield json.loads(line)
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


def mails(data_dir: Path) -> list[EmailMessage]:
    """Return the messages of the Maildir in order of arrival."""
    files = sorted((data_dir / "mailbox" / "new").iterdir())
    return [message_from_bytes(file.read_bytes(), policy=default) for file in files]


def unsubscribe_url(message: EmailMessage) -> str:
    links = [link.strip(" <>") for link in str(message["List-Unsubscribe"]).split(",")]
    (url,) = [link for link in links if link.startswith("http")]
    return url


def next_weekday(on: date) -> date:
    following = on + timedelta(days=1)
    return following if following.weekday() < 5 else next_weekday(following)


def check_digest(message: EmailMessage) -> None:
    """Check the headers and parts that every digest must have."""
    assert message["X-Envelope-To"] == SUBSCRIBER
    assert message["To"] == SUBSCRIBER
    assert message["Message-ID"].startswith("<digest.")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"]
    assert "/unsubscribe/" in unsubscribe_url(message)
    assert message.get_content_type() == "multipart/alternative"
    kinds = [part.get_content_type() for part in message.iter_parts()]
    assert kinds == ["text/plain", "text/html"]


def test_a_demo_sends_one_day_balances_and_never_mails_it_twice(data_dir: Path) -> None:
    first = paperboy(data_dir, "demo", "--once")
    assert (first.returncode, first.stderr) == (0, "")
    assert "from the built-in sample day (invented papers)" in first.stdout
    assert "The balance closes." in first.stdout
    assert f"{SUBSCRIBER} has 3 mails." in first.stdout
    confirmation, welcome, digest = mails(data_dir)
    assert welcome["Message-ID"].startswith("<welcome.")
    assert confirmation["Message-ID"].startswith("<confirmation.")
    assert "List-Unsubscribe-Post" not in confirmation
    check_digest(digest)

    second = paperboy(data_dir, "--json", "demo", "--once")
    assert (second.returncode, second.stderr) == (0, "")
    report = json.loads(second.stdout)
    assert report["is_sample"] is True
    assert (report["balance"]["states"], report["balance"]["closes"]) == ({"sent": 1}, True)
    assert report["mail_count"] == 3
    assert len(mails(data_dir)) == 3


def test_one_click_unsubscribes_and_a_new_demo_needs_a_new_confirmation(data_dir: Path) -> None:
    with staying_demo(data_dir) as report:
        site, mailbox = report["places"]["Site"], report["places"]["Mailbox"]
        assert httpx2.get(site).is_success
        admin, password = report["places"]["Operator"], report["admin_password"]
        assert httpx2.get(admin).status_code == 401
        assert "1 reader. The balance closes." in httpx2.get(admin, auth=("me", password)).text
        assert SUBSCRIBER in httpx2.get(mailbox).text
        *_, digest = mails(data_dir)
        check_digest(digest)
        answer = httpx2.post(unsubscribe_url(digest), data={"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, answer.history) == (200, [])
        assert "set-cookie" not in answer.headers
        assert subscriber_states(data_dir) == {SUBSCRIBER: "unsubscribed"}

    following = next_weekday(date.fromisoformat(report["day"]))
    clock = ("--json", "--now", f"{following}T12:00Z")
    published = paperboy(data_dir, *clock, "publish", "--force")
    assert published.returncode == 0, published.stderr
    balance = json.loads(published.stdout)
    assert (balance["candidate_count"], balance["states"]) == (0, {})
    assert balance["local_date"] == following.isoformat()
    assert len(mails(data_dir)) == 3

    # The previous confirmation is no longer valid: a new one is needed.
    again = paperboy(data_dir, "demo", "--once")
    assert (again.returncode, again.stderr) == (0, "")
    assert subscriber_states(data_dir) == {SUBSCRIBER: "active"}
    kinds = [message["Message-ID"].partition(".")[0] for message in mails(data_dir)]
    assert kinds == ["<confirmation", "<welcome", "<digest", "<confirmation", "<welcome"]


def subscriber_states(data_dir: Path) -> dict[str, str]:
    listed = paperboy(data_dir, "--json", "subscribers", "list")
    return {row["email"]: row["state"] for row in json.loads(listed.stdout)}
