"""`paperboy demo` end to end: days with their digests, run twice, and the way to a real installation."""

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections import Counter
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
from support.smtp.smtp_sink import SmtpSink, free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(400)]

SUBSCRIBER = "reader@example.org"
WEEKLY = "weekly@example.org"
MOVED = "moved@example.org"


def environment(data_dir: Path) -> dict[str, str]:
    """Return default settings with this data directory and unreachable sources."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("PAPERBOY_")
    }
    return inherited | {
        "PAPERBOY_DATA_DIR": str(data_dir),
        "PAPERBOY_BASE_URL": f"http://127.0.0.1:{free_port()}",
        "PAPERBOY_ARXIV_FEED_URL": "http://127.0.0.1:1",
        "PAPERBOY_ENV_FILE": os.devnull,
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
def staying(environ: dict[str, str], *arguments: str, directory: Path = ROOT) -> Iterator[Any]:
    """Run a command that stays up and yield its JSON report; it must exit cleanly on Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        env=environ,
    )
    assert process.stdout
    try:
        assert select.select([process.stdout], [], [], 180)[0], "nothing came within three minutes"
        line = process.stdout.readline()
        assert line, process.communicate(timeout=60)[1]
        yield json.loads(line)
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


def mails(data_dir: Path, to: str = SUBSCRIBER) -> list[EmailMessage]:
    """Return the demo's messages to an address in order of arrival."""
    files = sorted((data_dir / "demo" / "mailbox" / "new").iterdir())
    found = [message_from_bytes(file.read_bytes(), policy=default) for file in files]
    return [message for message in found if message["To"] == to]


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
    assert "from the built-in sample (invented papers)" in first.stdout
    assert "The balance closes." in first.stdout
    assert f"{SUBSCRIBER} (daily, active) has 3 mails." in first.stdout
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
    with staying(environment(data_dir), "demo") as report:
        site, mailbox = report["places"]["Site"], report["places"]["Mailbox"]
        assert httpx2.get(site).is_success
        admin, password = report["places"]["Operator"], report["password"]
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
    published = paperboy(data_dir / "demo", *clock, "publish", "--force")
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
    listed = paperboy(data_dir / "demo", "--json", "subscribers", "list")
    return {row["email"]: row["state"] for row in json.loads(listed.stdout)}


def balances_of(report: Any) -> list[Any]:
    return [balance for day in report["days"] for balance in day["balances"]]


def test_ten_days_pass_and_show_daily_and_weekly_digests_and_a_history(data_dir: Path) -> None:
    with staying(environment(data_dir), "demo", "--days", "10") as report:
        days = [date.fromisoformat(day["on"]) for day in report["days"]]
        assert len(days) == 10
        assert all(on.weekday() < 5 for on in days)
        assert [on for on in days[:-1] if next_weekday(on) not in days] == []
        assert all(day["counts"]["new"] >= 40 for day in report["days"])
        assert all(balance["closes"] for balance in balances_of(report))
        sent = Counter(
            balance["cadence"] for balance in balances_of(report) if balance["states"].get("sent")
        )
        assert sent == {"daily": 10, "weekly": sum(on.weekday() == 0 for on in days)}
        ends = [balance["states"] for balance in balances_of(report)]
        assert sum("bounced" in name for states in ends for name in states) == 1

        daily, weekly = mails(data_dir), mails(data_dir, WEEKLY)
        assert report["mails"] == {
            SUBSCRIBER: len(daily),
            WEEKLY: len(weekly),
            MOVED: len(mails(data_dir, MOVED)),
        }
        digests = [message for message in daily if message["Message-ID"].startswith("<digest.")]
        assert len({message["Subject"] for message in digests}) == 10
        # Each digest carries the date of its own day, as if the days had really passed.
        assert [message["Date"].datetime.date() for message in digests[:-1]] == days[:-1]
        assert len(weekly) == 2 + sent["weekly"]

        site = report["places"]["Site"]
        for on in days:
            assert "Sample papers" in httpx2.get(f"{site}/daily/{on}").text
        operator = httpx2.get(report["places"]["Operator"], auth=("me", report["password"]))
        assert operator.is_success
        assert operator.text.count('aria-label="1 sent"') >= 3
        assert "Weekly, Mon" in operator.text
        assert "1 × address or mailbox" in operator.text
        one_click = {"List-Unsubscribe": "One-Click"}
        assert httpx2.post(unsubscribe_url(weekly[-1]), data=one_click).is_success

    # After Ctrl-C the same days send nothing twice; who has left signs up again, and nobody doubles.
    again = paperboy(data_dir, "--json", "demo", "--once", "--days", "10")
    assert (again.returncode, again.stderr) == (0, "")
    more = {WEEKLY: len(weekly) + 2}
    assert json.loads(again.stdout)["mails"] == report["mails"] | more
    states = {SUBSCRIBER: "active", WEEKLY: "active", MOVED: "suppressed"}
    assert subscriber_states(data_dir) == states


def test_a_demo_goes_on_with_a_subscriber_who_paused(data_dir: Path) -> None:
    with staying(environment(data_dir), "demo") as report:
        *_, digest = mails(data_dir)
        body = digest.get_body(("plain",))
        assert body
        link = re.search(r"/preferences/[\w.~-]+", body.get_content())
        assert link
        form = {"action": "pause", "pause_days": "7"}
        assert "Paused" in httpx2.post(f"{report['places']['Site']}{link[0]}", data=form).text
        # The fourth mail says that the pause began.
        wait_until(lambda: len(mails(data_dir)) == 4, seconds=60)
    again = paperboy(data_dir, "demo", "--once")
    assert (again.returncode, again.stderr) == (0, "")
    assert f"{SUBSCRIBER} (daily, paused) has 4 mails." in again.stdout


def test_nothing_of_a_demo_is_in_the_real_installation(
    data_dir: Path, tmp_path: Path, smtp_sink: SmtpSink
) -> None:
    """`make demo`, Ctrl-C, own settings in .env, `paperboy up`, with a relay that would see it."""
    with staying(environment(data_dir), "demo"):
        pass
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PAPERBOY_")}
    address = f"http://127.0.0.1:{free_port()}"
    (tmp_path / ".env").write_text(f"""
PAPERBOY_DATA_DIR={data_dir}
PAPERBOY_BASE_URL={address}
PAPERBOY_SMTP_URL={smtp_sink.url}
PAPERBOY_MAIL_FROM=digest@paperboy.example
PAPERBOY_ARXIV_FEED_URL=http://127.0.0.1:1
PAPERBOY_HUGGINGFACE_URL=http://127.0.0.1:1
""")
    with staying(inherited, "up", directory=tmp_path) as report:
        assert report["settings_file"] == str(tmp_path / ".env")
        page = httpx2.get(address).text
        assert "Invented" not in page
        assert "Sample papers" not in page
        form = {"email": "me@paperboy.example", "timezone": "UTC", "hour": "7", "cadence": "daily"}
        assert httpx2.post(f"{address}/subscribe", data=form).is_success
        (confirmation,) = smtp_sink.wait_for(1)
        assert confirmation.envelope.rcpt_tos == ["me@paperboy.example"]

    command = [sys.executable, "-m", "service.cli"]
    listed = subprocess.run(
        [*command, "--json", "subscribers", "list"],
        check=True, capture_output=True, text=True, cwd=tmp_path, env=inherited,
    )  # fmt: skip
    assert [row["email"] for row in json.loads(listed.stdout)] == ["me@paperboy.example"]

    # With the demo's own directory the relay gets nothing either.
    demos = inherited | {"PAPERBOY_DATA_DIR": str(data_dir / "demo")}
    for arguments in (["up"], ["publish", "--force"], ["deliver"]):
        refused = subprocess.run(
            [*command, *arguments],
            check=False, capture_output=True, text=True, cwd=tmp_path, env=demos,
        )  # fmt: skip
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"the database of {data_dir / 'demo'} is a demo's" in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert [to for received in smtp_sink.seen for to in received.envelope.rcpt_tos] == [
        "me@paperboy.example"
    ]
