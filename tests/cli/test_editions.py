"""A day by hand: ingest, publish, deliver, sweep, resolve, and their output."""

import os
from datetime import date
from pathlib import Path

import pytest
import redis
from sqlalchemy import update
from sqlalchemy.orm import Session
from support.newsletter.commands import LATER, NOW, Paperboy
from support.smtp.smtp_sink import DROP, SmtpSink

from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery
from service.editions.store.models import Edition

SUBSCRIBER = "reader@example.org"


@pytest.fixture
def subscriber(paperboy: Paperboy) -> str:
    paperboy(*NOW, "subscribers", "add", SUBSCRIBER, "--topic", "cat:cs.CL", "--confirmed")
    return SUBSCRIBER


@pytest.fixture
def read_day(sample_day: date, paperboy: Paperboy) -> date:
    assert paperboy(*NOW, "ingest").code == 0
    return sample_day


def test_ingest_reports_each_batch(sample_day: date, paperboy: Paperboy) -> None:
    result = paperboy(*NOW, "--json", "ingest")
    assert (result.code, result.err) == (0, "")
    shown = {(r["source"], r["category"]): r for r in result.value}
    assert set(shown) == {("arxiv", "cs.CL"), ("arxiv", "cs.CV"), ("huggingface", "")}
    assert {r["state"] for r in result.value} == {"complete"}
    assert {r["announced_on"] for r in result.value} == {"2026-09-18"}
    assert shown["arxiv", "cs.CL"]["counts"].keys() >= {"new", "cross", "replace"}
    assert shown["arxiv", "cs.CL"]["stored_count"] > 0


def test_ingest_prints_a_table_and_then_that_all_is_stored(
    sample_day: date, paperboy: Paperboy
) -> None:
    first = paperboy(*NOW, "ingest", "arxiv")
    head, *rows = first.out.splitlines()
    assert head.split() == [
        "batch", "state", "new", "cross", "replaced", "withdrawn", "stored",
    ]  # fmt: skip
    assert [row.split()[:4] for row in rows] == [
        ["arxiv", "cs.CL", "2026-09-18", "complete"],
        ["arxiv", "cs.CV", "2026-09-18", "complete"],
    ]
    assert paperboy(*NOW, "ingest", "arxiv").out == "Everything is stored already.\n"


def test_ingest_since_reads_every_day_of_a_source_that_keeps_them(
    sample_day: date, paperboy: Paperboy
) -> None:
    result = paperboy(*NOW, "--json", "ingest", "huggingface", "--since", "2026-09-16")
    assert [r["announced_on"] for r in result.value] == ["2026-09-16", "2026-09-17", "2026-09-18"]
    one = paperboy(*NOW, "--json", "ingest", "huggingface", "--date", "2026-09-15")
    assert [r["announced_on"] for r in one.value] == ["2026-09-15"]


def test_a_source_that_is_down_is_reported_once_in_the_table(paperboy: Paperboy) -> None:
    result = paperboy(*NOW, "ingest", "huggingface")
    assert "Connection refused" in result.out
    assert result.complaint == "1 batch could not be read"
    result = paperboy(*NOW, "--json", "ingest", "huggingface")
    assert result.code == 1
    assert [report["error"] != "" for report in result.value] == [True]
    assert "Connection refused" in result.value[0]["error"]


def test_publish_refuses_an_incomplete_day_and_says_what_to_do(
    paperboy: Paperboy, subscriber: str, smtp_sink: SmtpSink
) -> None:
    result = paperboy(*NOW, "publish")
    assert (result.code, result.out) == (1, "")
    assert result.complaint == (
        "not complete yet for 2026-09-18: arxiv cs.CL, arxiv cs.CV; ingest again, or add --force"
    )
    assert smtp_sink.messages == []
    assert paperboy(*NOW, "--json", "status").value["editions"] == []


def test_publish_refuses_while_one_category_was_never_fetched(
    sample_day: date, paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERBOY_ARXIV_CATEGORIES", "cs.CL")
    assert paperboy(*NOW, "ingest").code == 0
    monkeypatch.setenv("PAPERBOY_ARXIV_CATEGORIES", "cs.CL cs.LG")
    assert "2026-09-18: arxiv cs.LG;" in paperboy(*NOW, "publish").complaint


def test_force_publishes_and_the_mail_names_what_is_missing(
    sample_day: date,
    paperboy: Paperboy,
    subscriber: str,
    smtp_sink: SmtpSink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAPERBOY_ARXIV_CATEGORIES", "cs.CL")
    assert paperboy(*NOW, "ingest").code == 0
    monkeypatch.setenv("PAPERBOY_ARXIV_CATEGORIES", "cs.CL cs.LG")
    result = paperboy(*NOW, "--json", "publish", "--force")
    assert (result.code, result.value["states"]) == (0, {"sent": 1})
    ((_, message),) = smtp_sink.wait_for(1)
    body = message.get_body(("plain",))
    assert body is not None
    assert "cs.LG" in body.get_content()


def test_publish_replays_a_day_and_a_second_run_sends_nothing(
    read_day: date, paperboy: Paperboy, subscriber: str, smtp_sink: SmtpSink
) -> None:
    first = paperboy(*NOW, "--json", "publish")
    assert (first.code, first.err) == (0, "")
    assert first.value["local_date"] == "2026-09-18"
    assert (first.value["states"], first.value["closes"]) == ({"sent": 1}, True)
    ((envelope, message),) = smtp_sink.wait_for(1)
    assert envelope.rcpt_tos == [SUBSCRIBER]
    assert message["Message-ID"]
    second = paperboy(*LATER, "--json", "publish")
    assert second.value == first.value
    third = paperboy(*LATER, "--json", "publish", "--force")
    assert third.value == first.value
    assert len(smtp_sink.messages) == 1


def test_publish_prints_the_balance_of_the_edition(
    read_day: date, paperboy: Paperboy, subscriber: str
) -> None:
    paperboy(
        *NOW, "subscribers", "add", "b@example.org", "--topic", "nothingmatches", "--confirmed"
    )
    lines = paperboy(*NOW, "publish").out.splitlines()
    assert lines[0].startswith("Daily edition of 2026-09-18: number 1, closed, ")
    assert [line.split() for line in lines[1:]] == [
        ["state", "digests"],
        ["sent", "1"],
        ["skipped:", "empty", "1"],
        ["candidates", "2"],
        ["The", "balance", "closes."],
    ]


def test_every_cadence_has_an_edition_of_its_own(read_day: date, paperboy: Paperboy) -> None:
    for cadence in ("daily", "weekdays", "weekly"):
        assert paperboy(*NOW, "--json", "publish", "--cadence", cadence).value["cadence"] == cadence
    shown = paperboy(*NOW, "--json", "status").value["editions"]
    assert sorted(edition["cadence"] for edition in shown) == ["daily", "weekdays", "weekly"]


def test_a_balance_that_does_not_close_is_exit_1(
    read_day: date, paperboy: Paperboy, subscriber: str, session: Session
) -> None:
    paperboy(*NOW, "publish")
    session.execute(update(Edition).values(candidate_count=Edition.candidate_count + 1))
    session.commit()
    result = paperboy(*NOW, "publish")
    assert result.code == 1
    assert "THE BALANCE DOES NOT CLOSE." in result.out
    assert result.complaint == "the balance does not close; see: paperboy status"
    shown = paperboy(*NOW, "status")
    assert (shown.code, shown.complaint) == (1, "a balance does not close")


def test_deliver_sends_what_is_due_and_counts_it(paperboy: Paperboy, smtp_sink: SmtpSink) -> None:
    assert paperboy(*NOW, "subscribers", "add", SUBSCRIBER).out == (
        f"{SUBSCRIBER} is pending; a confirmation mail is queued.\n"
    )
    result = paperboy(*LATER, "deliver")
    assert result.out == "1 sent, 0 skipped, 0 failed, 0 to retry, 0 in doubt.\n"
    assert smtp_sink.recipients() == [SUBSCRIBER]
    assert paperboy(*LATER, "--json", "deliver").value["sent"] == 0


def test_digests_in_doubt_wait_for_the_operator(
    read_day: date, paperboy: Paperboy, subscriber: str, smtp_sink: SmtpSink
) -> None:
    smtp_sink.on_data = lambda _: DROP
    shown = paperboy(*NOW, "--json", "publish")
    assert (shown.code, shown.value["states"]) == (0, {"in_doubt": 1})
    smtp_sink.on_data = lambda _: None
    assert paperboy(*LATER, "--json", "deliver").value["sent"] == 0
    number = str(shown.value["edition_id"])
    assert paperboy(*LATER, "--json", "status").value["in_doubt_count"] == 1

    resolved = paperboy(*LATER, "resolve", number, "--in-doubt", "resend")
    assert resolved.out.splitlines()[:2] == [
        "1 digest: the operator asked for it to be sent again.",
        "Daily edition of 2026-09-18: number 1, frozen, 34 papers",
    ]
    assert "The balance closes." in resolved.out
    assert paperboy(*LATER, "--json", "deliver", "--edition", number).value["sent"] == 1
    assert len(smtp_sink.messages) == 1
    again = paperboy(*LATER, "resolve", number, "--in-doubt", "sent")
    assert (again.code, again.out) == (0, f"No digest of edition {number} is in doubt.\n")


def test_sweep_puts_back_what_a_dead_sender_left(
    paperboy: Paperboy, session: Session, smtp_sink: SmtpSink
) -> None:
    paperboy(*NOW, "subscribers", "add", SUBSCRIBER)
    session.execute(update(Delivery).values(state=DeliveryState.CLAIMED, lease_owner=1))
    session.commit()
    swept = paperboy(*LATER, "sweep")
    assert swept.out == "1 put back into the queue, 0 now in doubt.\n"
    assert paperboy(*LATER, "--json", "deliver").value["sent"] == 1


def test_the_story_of_an_edition_in_doubt_says_since_when_where_and_what_to_do(
    read_day: date, paperboy: Paperboy, subscriber: str, smtp_sink: SmtpSink
) -> None:
    smtp_sink.on_data = lambda _: DROP
    number = paperboy(*NOW, "--json", "publish").value["edition_id"]
    lines = paperboy(*LATER, "status").out.splitlines()
    (shown,) = [line for line in lines if line.startswith("In doubt since 2026-09-18 05:00 UTC: ")]
    relay = f"{smtp_sink.host}:{smtp_sink.port}"
    assert f"1 at example.org through {relay} (" in shown
    last = paperboy(*LATER, "why", SUBSCRIBER, "2026-09-18").out.splitlines()[-1]
    assert last.endswith(f" (in phase data through {relay})")
    assert f"Run: paperboy resolve {number} --in-doubt sent|resend|carry" in lines
    (edition,) = paperboy(*LATER, "--json", "status").value["editions"]
    assert edition["states"] == {"in_doubt": 1}
    assert [doubt["provider"] for doubt in edition["doubts"]] == ["example.org"]
    value = paperboy(*LATER, "--json", "resolve", str(number), "--in-doubt", "sent").value
    assert (value["resolved"], value["as"], value["edition"]["states"]) == (1, "sent", {"sent": 1})


def test_a_waiting_edition_shows_its_times(
    read_day: date, paperboy: Paperboy, subscriber: str, smtp_sink: SmtpSink
) -> None:
    smtp_sink.on_data = lambda _: "451 4.7.1 come back later"
    paperboy(*NOW, "publish")
    lines = paperboy(*LATER, "status").out.splitlines()
    (shown,) = [line for line in lines if line.startswith("To retry: 1 digest, the next at")]
    assert shown.endswith(" UTC.")
    assert any(line.startswith("Rate: 0 a second; done at about") for line in lines)


def test_commands_about_missing_things_are_one_line(paperboy: Paperboy) -> None:
    for arguments, code in (
        (("resolve", "99", "--in-doubt", "sent"), 2),
        (("deliver", "--edition", "99"), 2),
        (("why", "nobody@example.org", "2026-09-18"), 1),
        (("why", "nobody@example.org", "someday"), 2),
        (("why", "nobody", "2026-09-18"), 2),
    ):
        result = paperboy(*NOW, *arguments)
        assert (result.code, result.out) == (code, ""), arguments
        assert result.complaint
    paperboy(*NOW, "suppress", "nobody@example.org", "--why", "asked")
    again = paperboy(*NOW, "why", "nobody@example.org", "2026-09-18").complaint
    assert again == "no subscriber has the address nobody@example.org; it is suppressed: operator"


def test_a_restored_database_is_refused_until_the_operator_confirms_it(
    read_day: date, paperboy: Paperboy, subscriber: str, tmp_path: Path
) -> None:
    paperboy(*NOW, "publish")
    mark = tmp_path / "data.sent"
    mark.write_text(mark.read_text().replace('"attempt": 1', '"attempt": 2'))
    with redis.Redis.from_url(os.environ["PAPERBOY_REDIS_URL"]) as client:
        client.flushdb()
    for command in ("deliver", "sweep"):
        result = paperboy(*LATER, command)
        assert (result.code, result.out) == (1, "")
        assert result.complaint.endswith("run: paperboy restored")
    assert paperboy(*LATER, "restored").out.startswith("0 mails due until 2026-09-18 05:00 UTC")
    assert paperboy(*LATER, "deliver").code == 0
    assert paperboy(*LATER, "restored").out == (
        "This database is not older than the sent watermark; nothing to do.\n"
    )


def test_mails_of_no_edition_are_resolved_under_0(paperboy: Paperboy, smtp_sink: SmtpSink) -> None:
    paperboy(*NOW, "subscribers", "add", SUBSCRIBER)
    smtp_sink.on_data = lambda _: DROP
    assert paperboy(*LATER, "--json", "deliver").value["in_doubt"] == 1
    lines = paperboy(*LATER, "status").out.splitlines()
    assert any(line.startswith("Of no edition: In doubt since ") for line in lines)
    assert "Run: paperboy resolve 0 --in-doubt sent|resend" in lines
    carry = paperboy(*LATER, "resolve", "0", "--in-doubt", "carry")
    assert (carry.code, carry.complaint) == (
        2,
        "mails of no edition have no papers to carry; use sent or resend",
    )
    assert paperboy(*LATER, "resolve", "0", "--in-doubt", "sent").out == (
        "1 mail: the operator says it arrived.\n"
    )
    assert paperboy(*LATER, "resolve", "0", "--in-doubt", "sent").out == (
        "No mail of no edition is in doubt.\n"
    )
