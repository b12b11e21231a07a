"""`paperboy restored`, typed on a machine that has a database and no sent mark of it."""

import os
from datetime import date
from pathlib import Path

import pytest
import redis
from support.newsletter.commands import LATER, NOW, Paperboy
from support.smtp.smtp_sink import SmtpSink

SUBSCRIBER = "anne@example.org"


@pytest.fixture
def lost(sample_day: date, paperboy: Paperboy, tmp_path: Path) -> None:
    """An installation that sent an edition; then both of its marks are gone."""
    add = ("subscribers", "add", SUBSCRIBER, "--topic", "cat:cs.CL", "--confirmed")
    for arguments in (("ingest",), add, ("publish",)):
        assert paperboy(*NOW, *arguments).code == 0
    (tmp_path / "data.sent").unlink()
    with redis.Redis.from_url(os.environ["PAPERBOY_REDIS_URL"]) as client:
        client.flushdb()


@pytest.mark.usefixtures("lost")
def test_without_a_mark_every_command_and_report_says_what_to_do(
    paperboy: Paperboy, smtp_sink: SmtpSink
) -> None:
    paperboy(*LATER, "subscribers", "add", "bert@example.org")
    before = len(smtp_sink.seen)
    for command in ("deliver", "sweep"):
        result = paperboy(*LATER, command)
        assert (result.code, result.out) == (1, "")
        assert "paperboy restored --until TIME (or --nothing-lost" in result.complaint
    status = paperboy(*LATER, "status")
    assert "Nothing is sent: this database was in use by 2026-09-18 05:00 UTC" in status.out
    assert (
        "paperboy restored --until TIME" in paperboy(*LATER, "--json", "status").value["restored"]
    )
    doctor = paperboy("doctor").out
    assert "paperboy restored --until TIME" in " ".join(doctor.split())
    assert len(smtp_sink.seen) == before
    assert paperboy(*LATER, "restored", "--nothing-lost").out == (
        "Sending continues where it stopped.\n"
    )
    assert paperboy(*LATER, "deliver").code == 0
    assert len(smtp_sink.seen) == before + 1
    assert "Nothing is sent" not in paperboy(*LATER, "status").out
    assert "in every place" in paperboy("doctor").out


@pytest.mark.usefixtures("lost")
def test_times_that_cannot_be_true_are_refused_in_one_line(paperboy: Paperboy) -> None:
    for arguments, complaint in (
        (("--until", "2026-09-18T06:00Z"), "2026-09-18T06:00Z is in the future; "),
        (
            ("--until", "2026-09-18T04:59Z"),
            "this database has mail that was sent by 2026-09-18T05:",
        ),
        (("--until", "soon"), "--until needs a time like"),
        (("--until", "2026-09-18T05:01Z", "--nothing-lost"), "choose --until or --nothing-lost"),
    ):
        result = paperboy(*LATER, "restored", *arguments)
        assert (result.code, result.out) == (2, ""), arguments
        assert result.complaint.startswith(complaint)
    assert paperboy(*LATER, "deliver").code == 1
    accepted = paperboy(*LATER, "restored", "--until", "2026-09-18T05:05Z")
    assert accepted.out.startswith("0 mails due until 2026-09-18 05:05 UTC")
    assert paperboy(*LATER, "deliver").code == 0
    # The operator may know of a restore that nothing shows.
    again = paperboy(*LATER, "restored", "--until", "2026-09-18T05:06Z")
    assert again.out.startswith("0 mails due until 2026-09-18 05:06 UTC")
    assert paperboy(*LATER, "restored", "--nothing-lost").out.endswith("nothing to do.\n")
