"""Wrong arguments and settings end as one line on stderr with exit 2, and never a traceback."""

from pathlib import Path

import pytest
from support.newsletter.commands import NOW, Paperboy


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        (["gibberish"], "No such command 'gibberish'; see: paperboy --help"),
        (["statsu"], "No such command 'statsu'"),
        (["status", "--bad"], "No such option: --bad; see: paperboy status --help"),
        (["subscribers"], "Missing command; see: paperboy subscribers --help"),
        (["subscribers", "frob"], "No such command 'frob'; see: paperboy subscribers --help"),
        (["why"], "Missing argument 'EMAIL'"),
        (["suppress", "a@b.example"], "Missing option '--why'"),
        (["status", "--date", "yesterday"], "--date needs a date like 2026-09-18, not 'yesterday'"),
        (["status", "--date", "2026-02-30"], "--date needs a date like 2026-09-18"),
        (["why", "a@b.example", "soon"], "DATE needs a date like 2026-09-18, not 'soon'"),
        (["ingest", "--since", "x"], "--since needs a date like 2026-09-18, not 'x'"),
        (["--now", "noon", "status"], "--now needs a time like 2026-09-18T05:00Z, not 'noon'"),
        (["--now", "0001-01-01T00:00+14:00", "status"], "--now needs a time like"),
        (["publish", "--cadence", "hourly"], "'hourly' is not one of 'daily', 'weekdays', 'weekly'"),
        (["topics", "test", "x", "--days", "0"], "Invalid value for '--days'"),
        (["resolve", "1", "--in-doubt", "lost"], "--in-doubt is sent, resend, carry, not 'lost'"),
        (["resolve", "one", "--in-doubt", "sent"], "Invalid value for 'EDITION'"),
        (["resolve", "7", "--in-doubt", "sent"], "there is no edition 7; see: paperboy status"),
        (["deliver", "--edition", "7"], "there is no edition 7; see: paperboy status"),
        (["ingest", "biorxiv"], "there is no source 'biorxiv'; PAPERBOY_SOURCES has arxiv, huggingface"),
        ([*NOW, "ingest", "--date", "2026-09-19"], "--date 2026-09-19 is in the future"),
        ([*NOW, "ingest", "--since", "2026-09-19"], "--since 2026-09-19 is in the future"),
        ([*NOW, "ingest", "--since", "2026-09-17", "--date", "2026-09-17"], "not both"),
        ([*NOW, "publish", "--date", "2026-09-19"], "--date 2026-09-19 is in the future"),
        ([*NOW, "up"], "--now sets the clock of one process"),
        ([*NOW, "demo", "--once"], "--now sets the clock of one process"),
        (["demo", "--days", "17"], "should be less than or equal to 16"),
        (["up", "--port", "0"], "should be greater than or equal to 1"),
        (["topics", "test", "(diffusion"], "(character 1)"),
        (["topics", "test", "the"], "too common a word"),
        (["subscribers", "add", "nobody"], "This is not an email address"),
        (["subscribers", "add", "a@b.example", "--hour", "24"], "whole number from 0 to 23"),
        (["subscribers", "add", "a@b.example", "--timezone", "Mars/Base"], "'Mars/Base'"),
        (["subscribers", "add", "a@b.example", "--cadence", "hourly"], "daily, weekdays, weekly"),
        (["subscribers", "import", "no/such/file.csv"], "cannot read no/such/file.csv: No such"),
        (["subscribers", "import", "Makefile"], "the first line must name the columns"),
        (["subscribers", "import", "README.md", "--cadence", "hourly"], "Choose daily, weekdays"),
        (["subscribers", "import", "README.md", "--topic", "(graph"], "(character 1)"),
        (["suppress", "nobody", "--why", "asked"], "This is not an email address"),
        (["subscribers", "erase", "not an address"], "This is not an email address"),
        (["release"], "release needs an address, or --because TEXT"),
        (["release", "a@b.example", "--because", "text"], "release needs an address, or --because"),
        (["release", "a@b.example", "--yes"], "release needs an address, or --because TEXT"),
        (["release", "--because", ""], "the text of a reply needs at least 4 letters or digits"),
        (["release", "--because", "never said"], "no address was suppressed by a reply with"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line_and_exit_2(
    paperboy: Paperboy, typed: list[str], complaint: str
) -> None:
    result = paperboy(*typed)
    assert complaint in result.complaint
    assert (result.code, result.out) == (2, "")


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        (["why", "nobody@b.example", "2026-09-18"], "no subscriber has the address nobody@b.ex"),
        (["preview", "nobody@b.example"], "no subscriber has the address nobody@b.example"),
        (["subscribers", "export", "nobody@b.example"], "no subscriber has the address"),
        (["subscribers", "erase", "nobody@b.example"], "no subscriber has the address nobody@b.ex"),
        (["release", "free@b.example"], "free@b.example is not suppressed"),
    ],
)
def test_an_unknown_address_is_one_line_and_exit_1(
    paperboy: Paperboy, typed: list[str], complaint: str
) -> None:
    result = paperboy(*typed)
    assert complaint in result.complaint
    assert (result.code, result.out) == (1, "")


def test_an_error_in_a_topic_names_its_character_once(paperboy: Paperboy) -> None:
    result = paperboy("subscribers", "add", "a@b.example", "--topic", "graph AND (")
    assert result.complaint.startswith("topic 'graph AND (': ")
    assert result.complaint.count("character") == 1
    assert "(character 11)" in result.complaint
    assert paperboy("--json", "subscribers", "list").value == []


def test_a_topic_of_stop_words_names_its_character_too(paperboy: Paperboy) -> None:
    assert paperboy("topics", "test", "graph OR the").complaint.endswith("(character 10)")


def test_every_bad_setting_is_reported_in_one_line(
    paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERBOY_DIGEST_HUOR", "7")
    monkeypatch.setenv("PAPERBOY_SEND_RATE", "-1")
    result = paperboy("status")
    assert result.code == 2
    assert "PAPERBOY_DIGEST_HUOR: there is no such setting" in result.complaint
    assert "PAPERBOY_DIGEST_HOUR" in result.complaint
    assert "PAPERBOY_SEND_RATE: the value should be greater than 0" in result.complaint


def test_an_unknown_source_is_reported(paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERBOY_SOURCES", "arxiv pubmed")
    result = paperboy("ingest")
    assert result.code == 2
    assert "pubmed is not a source" in result.complaint


@pytest.mark.parametrize(
    "command", [["status"], ["migrate"], ["subscribers", "list"], ["sweep"], ["publish"]]
)
def test_a_database_that_is_down_is_one_line(
    paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("PAPERBOY_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:1/none")
    result = paperboy(*command)
    assert result.code == 1
    assert result.complaint.startswith("the database does not answer: ")
    assert "secret" not in result.complaint


def test_a_directory_that_cannot_be_written_is_one_line(
    paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.delenv("PAPERBOY_REDIS_URL")
    monkeypatch.setenv("PAPERBOY_DATA_DIR", str(tmp_path / "file" / "data"))
    result = paperboy("status")
    assert result.code == 1
    assert "file" in result.complaint


def test_wrong_use_of_a_process_leaves_no_traceback(process: Paperboy) -> None:
    result = process("status", "--date", "never")
    assert (result.code, result.out) == (2, "")
    assert result.complaint == "--date needs a date like 2026-09-18, not 'never'"
