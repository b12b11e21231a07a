"""The commands `picks` and `notes`."""

from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from support.newsletter.commands import NOW, Paperboy
from support.web.papers import make_announcement, store_papers


def test_picks_are_added_listed_and_removed(
    environment: None, session: Session, paperboy: Paperboy
) -> None:
    paperboy("migrate")
    store_papers(session, [make_announcement(1, "Cats sleep")])
    unknown = paperboy("picks", "add", "2609.99999", "--why", "Clear.")
    assert (unknown.code, unknown.complaint) == (2, "No paper here has this address or identifier.")
    for sentence in ("Draft", "Clear."):
        assert paperboy("picks", "add", "2609.00001v2", "--why", sentence).code == 0
    (pick,) = paperboy("--json", "picks", "list").value["picks"]
    assert (pick["paper"], pick["sentence"]) == ("arxiv:2609.00001", "Clear.")
    assert "Clear." in paperboy("picks", "list").out
    long = paperboy("picks", "add", "2609.00001", "--why", "x" * 201)
    assert (long.code, "at most 200 characters" in long.complaint) == (2, True)
    removed = [paperboy("--json", "picks", "remove", "2609.00001").value for _ in range(2)]
    assert [one["is_removed"] for one in removed] == [True, False]
    assert paperboy("picks", "remove", "2609.99999").code == 2


def test_notes_are_set_shown_and_removed(
    environment: None, paperboy: Paperboy, tmp_path: Path
) -> None:
    paperboy("migrate")
    file = tmp_path / "note.md"
    file.write_text("Dear **readers**\n", encoding="utf-8")
    for _ in range(2):
        done = paperboy("--json", *NOW, "notes", "set", "2026-09-19", "--file", str(file),
                        "--cadence", "weekly", "--cadence", "daily")  # fmt: skip
        assert (done.code, done.value["cadences"]) == (0, ["daily", "weekly"])
    shown = paperboy("--json", "notes", "show", "2026-09-19").value["notes"]
    assert [(one["cadence"], one["html"]) for one in shown] == [
        ("daily", "<p>Dear <strong>readers</strong></p>\n"),
        ("weekly", "<p>Dear <strong>readers</strong></p>\n"),
    ]
    assert len(paperboy("--json", *NOW, "notes", "list").value["notes"]) == 2
    assert "weekly" in paperboy(*NOW, "notes", "list").out
    assert paperboy("notes", "remove", "2026-09-19", "--cadence", "daily").code == 0
    assert len(paperboy("--json", *NOW, "notes", "list").value["notes"]) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("set", "soon", "--file", "-"), "DATE needs a date"),
        (("set", "2026-09-19", "--file", "/no/such/file"), "cannot be read"),
        (("show", "2026-09-19", "--cadence", "hourly"), "--cadence must be one of"),
    ],
)
def test_wrong_use_is_one_line(
    environment: None, paperboy: Paperboy, arguments: tuple[str, ...], complaint: str
) -> None:
    paperboy("migrate")
    result = paperboy("notes", *arguments)
    assert result.code == 2
    assert complaint in result.complaint
