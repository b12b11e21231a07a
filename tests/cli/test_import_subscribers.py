"""`paperboy subscribers import`, as an operator runs it: reports, repeats, kills."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from support.newsletter.commands import NOW, Paperboy
from support.rules import ROOT
from support.smtp.smtp_sink import SmtpSink


def addresses(paperboy: Paperboy) -> dict[str, str]:
    """Return address -> state of all subscribers."""
    return {row["email"]: row["state"] for row in paperboy("--json", "subscribers", "list").value}


def test_good_rows_are_taken_and_bad_ones_named_in_a_file(
    paperboy: Paperboy, tmp_path: Path
) -> None:
    file = tmp_path / "readers.csv"
    file.write_text(
        "\ufeffemail,topic,topic2,hour\nada@example.org,graph,,6\nnobody,,,\n"
        "grace@example.org,tree,cat:cs.CL,\njoan@example.org,,,25\n",
        encoding="utf-8",
    )
    paperboy(*NOW, "suppress", "grace@example.org", "--why", "asked")
    result = paperboy(*NOW, "subscribers", "import", str(file), "--confirmed")
    report = tmp_path / "readers.csv.rejected.csv"
    assert (result.code, result.out.splitlines()) == (
        0,
        [
            f"{file}: Paperboy.",
            "1 added: 1 active.",
            "1 already here, unchanged: 1 suppressed.",
            "2 rows not taken.",
            f"Each with its line and the reason: {report}",
        ],
    )
    lines = report.read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "line,email,reason"
    assert lines[1].startswith("3,nobody,This is not an email address")
    assert lines[2] == "5,joan@example.org,The hour is a whole number from 0 to 23."
    assert addresses(paperboy) == {"ada@example.org": "active"}
    again = paperboy(*NOW, "--json", "subscribers", "import", str(file)).value
    assert again == {
        "format": "Paperboy",
        "is_dry_run": False,
        "added": {},
        "suppressed": {},
        "known": {"active": 1, "suppressed": 1},
        "differing": 0,
        "rejected": 2,
        "report": str(report),
    }


def test_a_dry_run_says_it_and_only_then_people_are_asked(
    paperboy: Paperboy, tmp_path: Path, smtp_sink: SmtpSink
) -> None:
    file = tmp_path / "readers.txt"
    file.write_text("ada@example.org\nGrace <grace@example.org>\n")
    options = ("--topic", "graph", "--cadence", "weekly", "--timezone", "Asia/Tokyo", "--hour", "6",
               "--timing", "when_complete")  # fmt: skip
    tried = paperboy(*NOW, "subscribers", "import", str(file), *options, "--dry-run")
    assert tried.out.splitlines()[1:] == [
        "2 would be added: 2 pending.",
        "2 persons would be sent a confirmation mail: the file does not prove their consent"
        " (--confirmed: you do).",
        "Nothing was changed (--dry-run).",
    ]
    assert addresses(paperboy) == {}
    done = paperboy(*NOW, "subscribers", "import", str(file), *options)
    assert "2 added: 2 pending." in done.out
    ada, grace = paperboy("--json", "subscribers", "list").value
    assert (ada["topics"], ada["cadence"], ada["hour"]) == (["graph"], "weekly", 6)
    assert (grace["timezone"], grace["timing"]) == ("Asia/Tokyo", "when_complete")
    paperboy(*NOW, "deliver")
    sent = {mail.envelope.rcpt_tos[0]: mail for mail in smtp_sink.seen}
    assert set(sent) == {"ada@example.org", "grace@example.org"}


def test_a_file_without_a_good_row_is_exit_1(paperboy: Paperboy, tmp_path: Path) -> None:
    file = tmp_path / "readers.csv"
    file.write_text("email\nnobody\n")
    result = paperboy(*NOW, "subscribers", "import", str(file), "--report", str(tmp_path / "r.csv"))
    assert result.code == 1
    assert result.complaint == f"no row of {file} could be taken; see {tmp_path / 'r.csv'}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"address book\nAda\n", "line 1: the first line must name the columns"),
        (b"PK\x03\x04", "this is a zip archive or a spreadsheet: unpack it, or save it as CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_and_exit_2(
    paperboy: Paperboy, tmp_path: Path, content: bytes, reason: str
) -> None:
    file = tmp_path / "readers.xlsx"
    file.write_bytes(content)
    result = paperboy("subscribers", "import", str(file))
    assert (result.code, result.out) == (2, "")
    assert result.complaint.startswith(f"{file}: {reason}")
    assert result.complaint.endswith("; nothing was imported")


def test_a_file_of_listmonk_is_refused_until_somebody_checked_who_left_the_list(
    paperboy: Paperboy, tmp_path: Path
) -> None:
    file = tmp_path / "subscribers.csv"
    file.write_text("uuid,email,attributes,status\nf1,ada@example.org,{},enabled\n")
    for options in ((), ("--confirmed",), ("--unconfirmed",), ("--dry-run",)):
        result = paperboy(*NOW, "subscribers", "import", str(file), *options)
        assert (result.code, result.out) == (2, "")
        assert "does not say who unsubscribed from a list" in result.complaint
        assert result.complaint.endswith("and add --lists-checked; nothing was imported")
    assert addresses(paperboy) == {}
    paperboy(*NOW, "subscribers", "import", str(file), "--confirmed", "--lists-checked")
    assert addresses(paperboy) == {"ada@example.org": "active"}


def count(database_url: str, table: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.usefixtures("environment")
def test_an_import_that_was_killed_is_finished_by_the_same_command(
    process: Paperboy, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "readers.csv"
    rows = "".join(f"reader{n:05}@example.org,cat:cs.CL\n" for n in range(20_000))
    file.write_text(f"email,topic\n{rows}")
    command = [sys.executable, "-m", "service.cli", *NOW, "subscribers", "import", str(file)]
    with subprocess.Popen(command, cwd=ROOT, env=dict(os.environ)) as running:
        while not count(database_url, "subscribers"):
            assert running.poll() is None
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
    taken = count(database_url, "subscribers")
    assert 0 < taken < 20_000
    assert taken % 1000 == 0
    assert count(database_url, "topics") == count(database_url, "consents") == taken
    result = process(*NOW, "--json", "subscribers", "import", str(file)).value
    assert result["added"] == {"pending": 20_000 - taken}
    assert result["known"] == {"pending": taken}
    for table in ("subscribers", "topics", "consents", "deliveries"):
        assert count(database_url, table) == 20_000


@pytest.mark.usefixtures("environment")
def test_two_imports_of_one_list_at_once_add_everybody_once(
    database_url: str, tmp_path: Path
) -> None:
    rows = [f"reader{n:05}@example.org,cat:cs.CL\n" for n in range(3000)]
    running = []
    for name, order in (("one.csv", rows), ("two.csv", rows[::-1])):
        (tmp_path / name).write_text("".join(["email,topic\n", *order]))
        command = [*NOW, "subscribers", "import", str(tmp_path / name)]
        running.append(subprocess.Popen([sys.executable, "-m", "service.cli", *command], cwd=ROOT))
    assert [process.wait(120) for process in running] == [0, 0]
    for table in ("subscribers", "topics", "consents", "deliveries"):
        assert count(database_url, table) == 3000
