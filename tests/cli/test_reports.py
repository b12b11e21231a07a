"""Reports by hand: status, preview, why, topics test."""

from datetime import date
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from support.newsletter.commands import LATER, NOW, Paperboy
from support.smtp.smtp_sink import SmtpSink

SUBSCRIBER = "reader@example.org"


@pytest.fixture
def day(sample_day: date, paperboy: Paperboy) -> date:
    """Store the papers of the day and a subscriber."""
    paperboy(*NOW, "subscribers", "add", SUBSCRIBER, "--topic", "reasoning", "--confirmed")
    assert paperboy(*NOW, "ingest").code == 0
    return sample_day


def test_status_of_an_empty_installation_says_so(paperboy: Paperboy) -> None:
    assert paperboy(*NOW, "status").out.splitlines() == [
        "No batch of 2026-09-18 yet.",
        "",
        "No edition of 2026-09-18 yet.",
        "",
        "Subscribers: none.",
        "Mails: 0 due; 0 in doubt.",
    ]


def test_status_shows_batches_editions_and_waiting_mail(day: date, paperboy: Paperboy) -> None:
    paperboy(*NOW, "publish")
    paperboy(*NOW, "subscribers", "add", "new@example.org")
    out = paperboy(*LATER, "status").out
    assert "arxiv cs.CL  complete" in out
    assert "Daily edition of 2026-09-18: number 1, closed, " in out
    assert "The balance closes." in out
    assert "Subscribers: 1 active, 1 pending." in out
    assert "Mails: 1 due, the oldest since 2026-09-18 05:00 UTC; 0 in doubt." in out
    value = paperboy(*LATER, "--json", "status", "--date", "2026-09-18").value
    assert [edition["states"] for edition in value["editions"]] == [{"sent": 1}]
    assert (value["due_count"], value["subscribers"]) == (1, {"active": 1, "pending": 1})


def test_a_preview_is_the_mail_that_is_sent_and_sends_nothing(
    day: date, paperboy: Paperboy, tmp_path: Path, smtp_sink: SmtpSink
) -> None:
    folder = tmp_path / "new" / "folder"
    result = paperboy(*NOW, "--json", "preview", SUBSCRIBER, "--out", str(folder))
    assert result.code == 0
    assert [Path(name).suffix for name in result.value["written"]] == [".eml", ".html", ".txt"]
    assert smtp_sink.messages == []
    eml, html, text = (Path(name).read_bytes() for name in result.value["written"])
    message = message_from_bytes(eml, policy=default)
    assert message["To"] == SUBSCRIBER
    paperboy(*NOW, "publish")
    ((_, sent),) = smtp_sink.wait_for(1)
    assert message["Subject"] == sent["Subject"]
    assert html.startswith(b"<!doctype html>")
    assert b"reasoning" in text
    words = paperboy(*NOW, "preview", SUBSCRIBER, "--out", str(folder)).out.splitlines()
    assert words[0] == f"{result.value['papers']} papers in the mail of 2026-09-18:"
    assert len(words) == 4


def test_a_preview_without_papers_says_why(day: date, paperboy: Paperboy) -> None:
    paperboy(*NOW, "subscribers", "add", "b@example.org", "--topic", "xylophone", "--confirmed")
    result = paperboy(*NOW, "preview", "b@example.org")
    assert (result.code, result.out) == (0, "No mail for 2026-09-18: empty.\n")


def test_a_preview_that_cannot_be_written_is_one_line(
    day: date, paperboy: Paperboy, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    result = paperboy(*NOW, "preview", SUBSCRIBER, "--out", str(tmp_path / "file" / "x"))
    assert (result.code, result.out) == (1, "")
    assert result.complaint == f"cannot write to {tmp_path}/file/x: Not a directory"


def test_why_shows_papers_clauses_and_replies(day: date, paperboy: Paperboy) -> None:
    paperboy(*NOW, "publish")
    value = paperboy(*NOW, "--json", "why", SUBSCRIBER, "2026-09-18").value
    (delivery,) = value["deliveries"]
    assert (delivery["kind"], delivery["state"]) == ("digest", "sent")
    assert [event["detail"][:4] for event in delivery["events"]][-1] == "250 "
    lines = paperboy(*NOW, "why", SUBSCRIBER, "2026-09-18").out.splitlines()
    assert lines[:3] == [
        f"{SUBSCRIBER} is active. Topics: Reasoning (reasoning).",
        "",
        "Digest of the daily edition 1: sent",
    ]
    assert f"  {delivery['message_id']}" in lines
    assert "  Reasoning" in lines
    first = delivery["papers"][0]
    place = lines.index(f"    {first['key']}  {first['title']}")
    assert lines[place + 1] == f"      {'; '.join(first['reasons'])}"
    assert lines[-1].startswith("  2026-09-18 05:00:")
    assert ", try 1: sent 250 " in lines[-1]


def test_why_shows_a_skip_with_its_reason_and_mails_without_an_edition(
    day: date, paperboy: Paperboy
) -> None:
    paperboy(*NOW, "subscribers", "add", "b@example.org", "--topic", "xylophone", "--confirmed")
    paperboy(*NOW, "subscribers", "add", "c@example.org")
    paperboy(*NOW, "publish")
    paperboy(*LATER, "deliver")
    assert "Digest of the daily edition 1: skipped: empty" in (
        paperboy("why", "b@example.org", "2026-09-18").out
    )
    assert "\nConfirmation: sent\n" in paperboy("why", "c@example.org", "2026-09-18").out
    assert "Nothing was queued for 2026-09-17." in paperboy("why", SUBSCRIBER, "2026-09-17").out


def test_why_names_what_was_cut_for_length(
    day: date, paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERBOY_DIGEST_MAX_PAPERS", "1")
    paperboy(*NOW, "publish")
    value = paperboy("--json", "why", SUBSCRIBER, "2026-09-18").value
    cut = value["deliveries"][0]["cut"]
    assert cut
    assert f"  Cut for length: {', '.join(cut)}\n" in (
        paperboy("why", SUBSCRIBER, "2026-09-18").out
    )


def test_a_topic_is_tried_day_by_day(day: date, paperboy: Paperboy) -> None:
    value = paperboy(*NOW, "--json", "topics", "test", "reasoning", "--days", "3").value
    assert list(value["per_day"]) == ["2026-09-16", "2026-09-17", "2026-09-18"]
    assert value["total"] == value["per_day"]["2026-09-18"] > 0
    lines = paperboy(*NOW, "topics", "test", "reasoning", "--days", "3").out.splitlines()
    count = value["total"]
    assert lines[0] == f"2026-09-18  {'█' * 40} {count}"
    assert lines[1] == f"{count} papers in 3 days."
    assert lines[3] == f"  {value['newest'][0]['key']}  {value['newest'][0]['title']}"


def test_a_topic_without_papers_is_no_fault(paperboy: Paperboy) -> None:
    result = paperboy(*NOW, "topics", "test", "xylophone", "--days", "1")
    assert (result.code, result.out) == (0, "0 papers in 1 day.\n")
