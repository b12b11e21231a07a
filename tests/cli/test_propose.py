"""`topics propose`: a file of references in, a proposal on stdout."""

from datetime import date
from pathlib import Path

from support.newsletter.commands import NOW, Paperboy


def test_a_file_is_answered_with_topics(
    sample_day: date, paperboy: Paperboy, tmp_path: Path
) -> None:
    assert paperboy(*NOW, "ingest").code == 0
    newest = paperboy(*NOW, "topics", "test", "reasoning OR learning OR models", "--json").value
    keys = [paper["key"].removeprefix("arxiv:") for paper in newest["newest"]]
    file = tmp_path / "mine.txt"
    file.write_text("\n".join([*keys[:4], "An Unknown Paper of Mine", "??"]))
    told = paperboy(*NOW, "topics", "propose", str(file))
    assert told.code == 0
    assert (
        f"{len(keys[:4]) + 2} references: {len(keys[:4])} known here, 1 not, 1 unreadable."
        in told.out
    )
    assert "An Unknown Paper of Mine" in told.out
    value = paperboy(*NOW, "topics", "propose", str(file), "--json").value
    assert value["entries"] == len(value["found"]) + len(value["not_found"]) + len(
        value["unreadable"]
    )
    assert value["topics"]


def test_a_file_with_too_little_says_so(paperboy: Paperboy, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("2609.00001\n")
    told = paperboy(*NOW, "topics", "propose", str(tmp_path / "one.txt"))
    assert (told.code, "too little in common for a proposal" in told.out) == (0, True)


def test_a_file_of_no_use_is_one_line(paperboy: Paperboy, tmp_path: Path) -> None:
    missing = paperboy(*NOW, "topics", "propose", str(tmp_path / "none.bib"))
    assert (missing.code, "cannot read" in missing.complaint) == (2, True)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\0")
    refused = paperboy(*NOW, "topics", "propose", str(tmp_path / "a.pdf"))
    assert (refused.code, "not a text file" in refused.complaint) == (2, True)
