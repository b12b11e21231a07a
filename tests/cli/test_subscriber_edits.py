"""One subscriber by commands: show, search, edit, pause, resume, unsubscribe; and all sending."""

import pytest
from support.newsletter.commands import LATER, NOW, Paperboy
from support.smtp.smtp_sink import SmtpSink

ADA, BOB = "ada@example.org", "bob@example.net"


@pytest.fixture
def two(paperboy: Paperboy) -> None:
    add = (*NOW, "subscribers", "add")
    paperboy(*add, ADA, "--confirmed", "--topic", "graph tree", "--hour", "7")
    paperboy(*add, BOB, "--confirmed", "--topic", 'cat:cs.CV "100% sparse"')


def history(paperboy: Paperboy, email: str) -> list[str]:
    return [
        line["text"] for line in paperboy("--json", "subscribers", "show", email).value["history"]
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [("ADA@", [ADA]), ("example", [BOB, ADA]), ("tree", [ADA]), ("0% s", [BOB]), ("_", []), ("%", [BOB])],
)  # fmt: skip
def test_a_search_finds_parts_of_addresses_and_topics(
    paperboy: Paperboy, two: None, text: str, found: list[str]
) -> None:
    assert [
        row["email"] for row in paperboy("--json", "subscribers", "search", text).value
    ] == found


def test_a_search_is_a_table_for_people(paperboy: Paperboy, two: None) -> None:
    head, row, total = paperboy("subscribers", "search", "tree").out.splitlines()
    assert head.split() == ["email", "state", "cadence", "hour", "zone", "timing", "topics"]
    assert row.split() == [ADA, "active", "daily", "7", "UTC", "at_hour", "graph", "tree"]
    assert total == "1 subscriber."
    assert paperboy("subscribers", "search", "nobody").out == "0 subscribers.\n"
    limited = paperboy("subscribers", "search", "example", "--limit", "1").out
    assert limited.endswith("1 subscriber; there are more: --limit.\n")
    assert paperboy("--json", "subscribers", "search", "example", "--state", "paused").value == []
    wrong = paperboy("subscribers", "search", "example", "--state", "gone")
    assert (wrong.code, wrong.complaint.partition(",")[0]) == (2, "--state is pending")


def test_the_timing_is_edited_shown_and_checked(paperboy: Paperboy, two: None) -> None:
    assert "Daily at 07:00, UTC." in paperboy("subscribers", "show", ADA).out
    result = paperboy(*LATER, "--json", "subscribers", "edit", ADA, "--timing", "when_complete")
    assert result.value["changes"] == ["timing at_hour → when_complete"]
    assert paperboy("--json", "subscribers", "show", ADA).value["timing"] == "when_complete"
    shown = paperboy("subscribers", "show", ADA).out
    assert "Daily as soon as a day’s papers are complete, UTC." in shown
    wrong = paperboy(*LATER, "subscribers", "edit", ADA, "--timing", "soon")
    assert (wrong.code, wrong.complaint) == (2, "Choose at_hour or when_complete.")


def test_the_papers_in_full_are_edited_and_checked(paperboy: Paperboy, two: None) -> None:
    result = paperboy(*LATER, "--json", "subscribers", "edit", ADA, "--full-cards", "3")
    assert result.value["changes"] == ["papers shown in full 10 → 3"]
    wrong = paperboy(*LATER, "subscribers", "edit", ADA, "--full-cards", "101")
    assert wrong.code == 2
    assert wrong.complaint == "Papers shown in full: a whole number from 0 to 100."


def test_an_edit_is_recorded_with_what_changed(paperboy: Paperboy, two: None) -> None:
    result = paperboy(
        *LATER, "--json", "subscribers", "edit", ADA, "--cadence", "weekly", "--hour", "9",
        "--topic", "graph tree", "--topic", "cat:cs.CL",
    )  # fmt: skip
    assert result.value["changes"] == ["cadence daily → weekly", "hour 7 → 9", "topics"]
    shown = paperboy("--json", "subscribers", "show", ADA).value
    assert (shown["cadence"], shown["hour"]) == ("weekly", 9)
    assert shown["topics"] == ["graph tree", "cat:cs.CL"]
    (edited, *_) = history(paperboy, ADA)
    assert edited.startswith("edited (cadence daily → weekly, hour 7 → 9, topics) by the operator ")
    assert edited.endswith(" in a shell")
    again = paperboy(*LATER, "subscribers", "edit", ADA, "--hour", "9")
    assert (again.code, again.out) == (0, f"{ADA}: nothing changed.\n")
    paperboy(*LATER, "subscribers", "edit", ADA, "--no-topics")
    assert paperboy("--json", "subscribers", "show", ADA).value["topics"] == []


def test_the_measure_of_topics_is_edited_shown_and_stays_with_its_topic(
    paperboy: Paperboy, two: None
) -> None:
    def edit(*options: str) -> list[str]:
        changes: list[str] = paperboy(*LATER, "--json", "subscribers", "edit", ADA, *options).value[
            "changes"
        ]
        return changes

    edit(
        "--topic",
        "graph tree",
        "--comes",
        "weekly",
        "--topic",
        "cat:cs.CL",
        "--comes",
        "at least 3",
    )
    assert edit("--weekly-topics-on", "friday", "--max-papers", "8") == [
        "papers in a mail usual → 8", "weekly topics monday → friday",
    ]  # fmt: skip
    edit("--topic", "cat:cs.CL", "--topic", "robots")
    shown = paperboy("--json", "subscribers", "show", ADA).value
    assert shown["comes"] == ["at least 3", "at once"]
    assert (shown["max_papers"], shown["weekly_topics_on"]) == (8, "friday")
    assert edit("--comes", "weekly, at least 2") == ["when topics come"]
    printed = paperboy("subscribers", "show", ADA).out
    assert "Topics: cat:cs.CL (weekly, at least 2); robots.\n" in printed
    assert "Weekly topics come on Fridays.\nAt most 8 papers in a mail.\n" in printed
    wrong = paperboy(*LATER, "subscribers", "edit", ADA, "--comes", "hourly")
    assert (wrong.code, wrong.complaint[:28]) == (2, "A topic comes “at once”, “we")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["edit", ADA], 2, "nothing to change; give --topic, --hour or another option"),
        (["edit", ADA, "--hour", "25"], 2, "The hour is a whole number from 0 to 23."),
        (["edit", ADA, "--topic", "a", "--no-topics"], 2, "give --topic or --no-topics, not both"),
        (["pause", ADA, "--until", "2026-09-18"], 2, "A pause ends after today; 2026-09-18 does not."),
        (["pause", ADA, "--until", "someday"], 2, "--until needs a date like 2026-09-18, not 'someday'"),
        (["resume", ADA], 1, f"{ADA} is active, not paused"),
        (["show", "nobody@example.org"], 1, "no subscriber has the address nobody@example.org"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line(
    paperboy: Paperboy, two: None, arguments: list[str], code: int, complaint: str
) -> None:
    result = paperboy(*NOW, "subscribers", *arguments)
    assert (result.code, result.out, result.complaint) == (code, "", complaint)


def test_a_pause_a_return_and_an_end_are_in_the_history(
    paperboy: Paperboy, two: None, smtp_sink: SmtpSink
) -> None:
    paused = paperboy(*NOW, "subscribers", "pause", ADA, "--until", "2026-10-01")
    assert paused.out == f"{ADA} is paused until 2026-10-01.\n"
    paperboy(*NOW, "deliver")
    paperboy(*NOW, "subscribers", "resume", ADA)
    paperboy(*NOW, "deliver")
    assert paperboy(*LATER, "subscribers", "unsubscribe", ADA).out == f"{ADA} is unsubscribed.\n"
    again = paperboy(*LATER, "subscribers", "unsubscribe", ADA)
    assert (again.code, again.complaint) == (1, f"{ADA} is unsubscribed; nothing was changed")
    actions = [line.partition(" by the operator")[0] for line in history(paperboy, ADA)]
    assert actions == [
        "unsubscribed",
        "resumed",
        "paused until 2026-10-01",
        "confirmed",
        "requested",
    ]
    assert "paused until 2026-10-01 by the operator" in paperboy("subscribers", "show", ADA).out
    # The mails are those that follow a click of the subscriber's own.
    assert len(smtp_sink.messages) == 2


def test_the_links_of_earlier_mails_are_ended_and_new_ones_are_sent(
    paperboy: Paperboy, two: None, smtp_sink: SmtpSink
) -> None:
    result = paperboy(*LATER, "subscribers", "end-links", ADA)
    assert result.out == f"{ADA} is active; the links in earlier mails are ended.\n"
    assert history(paperboy, ADA)[0].startswith("ended all links by the operator ")
    paperboy(*LATER, "deliver")
    (mail,) = smtp_sink.messages
    assert mail.envelope.rcpt_tos == [ADA]
    assert b"/preferences/" in (mail.envelope.original_content or b"")
    assert paperboy("subscribers", "end-links", "nobody@example.org").code == 1


def test_all_sending_is_paused_and_resumed(
    paperboy: Paperboy, two: None, smtp_sink: SmtpSink
) -> None:
    assert paperboy(*NOW, "pause").out == "All sending is paused. To go on: paperboy resume\n"
    assert paperboy(*NOW, "--json", "pause").value == {"is_paused": True, "is_new": False}
    paperboy(*NOW, "subscribers", "pause", ADA)
    refused = paperboy(*NOW, "deliver")
    assert refused.code == 1
    since = "all sending is paused since 2026-09-18 05:00 UTC by the operator"
    assert refused.complaint.startswith(f"nothing was sent: {since}")
    assert refused.complaint.endswith("; run: paperboy resume")
    assert smtp_sink.messages == []
    assert since in paperboy(*NOW, "status").out
    pause = paperboy(*NOW, "--json", "status").value["pause"]
    assert pause["since"].startswith("2026-09-18T05:00")
    assert paperboy(*LATER, "resume").out == "Sending goes on.\n"
    assert paperboy(*LATER, "resume").out == "Sending was not paused.\n"
    assert paperboy(*LATER, "--json", "status").value["pause"] is None
    paperboy(*LATER, "deliver")
    assert len(smtp_sink.messages) == 1
