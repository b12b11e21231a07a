"""Subscribers by hand: add, list, import, export, erase, suppress, release."""

import json
from pathlib import Path

import pytest
from support.newsletter.commands import LATER, NOW, Paperboy
from support.smtp.smtp_sink import SmtpSink

from service.platform.queue import TASK_QUEUES
from service.platform.settings.settings import broker_url

EMAIL = "ada@example.org"


def addresses(paperboy: Paperboy) -> dict[str, str]:
    """Return address -> state of all subscribers."""
    return {row["email"]: row["state"] for row in paperboy("--json", "subscribers", "list").value}


def test_a_confirmed_subscriber_is_active_at_once(paperboy: Paperboy, smtp_sink: SmtpSink) -> None:
    result = paperboy(
        *NOW, "--json", "subscribers", "add", EMAIL, "--confirmed", "--topic", "cat:cs.CL",
        "--topic", "graph OR tree", "--timezone", "Europe/Berlin", "--hour", "6",
        "--cadence", "weekly", "--timing", "when_complete", "--empty-digests",
        "--full-cards", "25", "--max-papers", "9", "--comes", "weekly", "--comes", "at least 3",
        "--weekly-topics-on", "friday",
    )  # fmt: skip
    assert result.code == 0
    (row,) = paperboy("--json", "subscribers", "list").value
    assert row == result.value | {
        "topics": ["cat:cs.CL", "graph OR tree"],
        "topic_names": ["All of computational linguistics", "Graph, tree"],
    }
    assert (row["state"], row["cadence"], row["hour"]) == ("active", "weekly", 6)
    assert (row["timezone"], row["timing"]) == ("Europe/Berlin", "when_complete")
    assert (row["has_empty_digests"], row["full_cards"], row["max_papers"]) == (True, 25, 9)
    topics = paperboy("--json", "subscribers", "export", EMAIL).value["topics"]
    assert [(one["is_weekly"], one["at_least"]) for one in topics] == [(True, 1), (False, 3)]
    paperboy(*LATER, "deliver")
    assert smtp_sink.messages == []


def test_adding_a_subscriber_twice_changes_nothing_and_is_exit_1(paperboy: Paperboy) -> None:
    paperboy(*NOW, "subscribers", "add", EMAIL, "--confirmed", "--hour", "6")
    result = paperboy(*NOW, "subscribers", "add", EMAIL.upper(), "--hour", "9")
    assert result.code == 1
    assert "subscribed already or suppressed; nothing was changed" in result.complaint
    assert [row["hour"] for row in paperboy("--json", "subscribers", "list").value] == [6]


def test_adding_works_while_the_broker_is_down(
    paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERBOY_REDIS_URL", "redis://127.0.0.1:1/0")
    result = paperboy(*NOW, "subscribers", "add", EMAIL)
    assert (result.code, result.out) == (0, f"{EMAIL} is pending; a confirmation mail is queued.\n")
    assert "enqueue.failed" in result.err
    assert addresses(paperboy) == {EMAIL: "pending"}


def test_all_faults_of_a_new_subscriber_are_one_line(paperboy: Paperboy) -> None:
    wrong = ("--topic", "graph )", "--hour", "25", "--timing", "soon")
    result = paperboy(*NOW, "subscribers", "add", EMAIL, *wrong)
    assert result.code == 2
    assert "topic 'graph )': " in result.err
    assert "The hour is a whole number from 0 to 23." in result.err
    assert result.err.endswith("Choose at_hour or when_complete.\n")
    assert result.err.count("\n") == 1
    assert addresses(paperboy) == {}


def test_the_list_is_a_table_for_people(paperboy: Paperboy) -> None:
    assert paperboy("subscribers", "list").out == "0 subscribers.\n"
    paperboy(*NOW, "subscribers", "add", EMAIL, "--topic", "[graph] tree")
    head, row, total = paperboy("subscribers", "list").out.splitlines()
    assert head.split() == ["email", "state", "cadence", "hour", "zone", "timing", "topics"]
    assert row.split()[:3] == [EMAIL, "pending", "daily"]
    assert row.endswith("[graph] tree")
    assert total == "1 subscriber."


def test_export_is_json_lines_or_one_json_value(paperboy: Paperboy) -> None:
    for email in (EMAIL, "grace@example.org"):
        paperboy(*NOW, "subscribers", "add", email, "--confirmed")
    lines = [json.loads(line) for line in paperboy("subscribers", "export").out.splitlines()]
    assert [held["subscriber"]["email"] for held in lines] == [EMAIL, "grace@example.org"]
    assert paperboy("--json", "subscribers", "export").value == lines
    assert paperboy("--json", "subscribers", "export", EMAIL).value == lines[0]
    assert json.loads(paperboy("subscribers", "export", EMAIL).out) == lines[0]
    assert [consent["action"] for consent in lines[0]["consents"]] == ["requested", "confirmed"]


def test_an_erased_subscriber_is_not_added_again_by_an_import(
    paperboy: Paperboy, tmp_path: Path
) -> None:
    paperboy(*NOW, "subscribers", "add", EMAIL, "--confirmed")
    assert paperboy(*NOW, "subscribers", "erase", EMAIL).out == f"{EMAIL} is erased.\n"
    assert addresses(paperboy) == {}
    file = tmp_path / "readers.csv"
    file.write_text(f"email\n{EMAIL}\n")
    imported = paperboy(*NOW, "--json", "subscribers", "import", str(file)).value
    assert (imported["added"], imported["known"]) == ({}, {"suppressed": 1})
    assert addresses(paperboy) == {}


def test_a_suppressed_address_gets_nothing_until_it_is_released(paperboy: Paperboy) -> None:
    paperboy(*NOW, "subscribers", "add", EMAIL, "--confirmed")
    assert paperboy("suppress", EMAIL, "--why", "asked").out == f"{EMAIL} is suppressed.\n"
    assert paperboy("suppress", EMAIL, "--why", "x").out == f"{EMAIL} was suppressed already.\n"
    assert addresses(paperboy) == {EMAIL: "suppressed"}
    assert paperboy("--json", "release", EMAIL).value == {"released": EMAIL}
    assert addresses(paperboy) == {EMAIL: "unsubscribed"}


REFUSAL = f"""From: MAILER-DAEMON@mx.example
To: bounce@bounces.paperboy.example
Subject: Undelivered Mail
Message-ID: <1@mx.example>
Content-Type: multipart/report; boundary=b0

--b0
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; {EMAIL}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user in zone seven

--b0--
"""


def test_suppressions_by_a_reply_are_counted_and_then_undone(
    paperboy: Paperboy, tmp_path: Path
) -> None:
    paperboy(*NOW, "subscribers", "add", EMAIL, "--confirmed")
    (file := tmp_path / "bounce.eml").write_text(REFUSAL)
    paperboy(*LATER, "bounces", "read", str(file), "--trust")
    assert addresses(paperboy) == {EMAIL: "suppressed"}
    counted = paperboy("release", "--because", "Zone seven")
    assert "1  550 5.1.1 no such user in zone seven" in counted.out
    assert counted.out.endswith("1 reader would be released; --yes does it.\n")
    assert addresses(paperboy) == {EMAIL: "suppressed"}
    released = paperboy("--json", "release", "--because", "zone seven", "--yes").value
    assert (released["suppressed"], released["released"]) == (1, 1)
    assert addresses(paperboy) == {EMAIL: "active"}
    again = paperboy("release", "--because", "zone seven", "--yes")
    assert (again.code, again.out) == (0, "0 readers released.\n")
    assert addresses(paperboy) == {EMAIL: "active"}


def test_a_confirmation_enqueues_sending(paperboy: Paperboy, redis_url: str) -> None:
    import redis

    paperboy(*NOW, "subscribers", "add", EMAIL)
    assert broker_url(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen(TASK_QUEUES["paperboy.deliver"]) == 1
