"""Tags, notes, searches and files of saved papers, without a database."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
import rispy
from bibtexparser.entrypoint import parse_string
from support.cited_papers import make_paper

from service.subscribers.domain.saved import (
    LONGEST_NOTE,
    LONGEST_TAG,
    MOST_TAGS,
    SavedFault,
    SavedFilter,
    SavedPaper,
    parse_filter,
    parse_note,
    parse_tags,
)
from service.subscribers.domain.saved_exports import FORMATS, write_export

SAVED_AT = datetime(2026, 9, 18, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", ()),
        (" , ;\n", ()),
        ("To Read", ("to read",)),
        ("#b, a; b\nA", ("a", "b")),
        ("to  read,\tto read , To Read", ("to read",)),
        ("Ｆｕｌｌ", ("full",)),
        ("Straße, ÉTÉ", ("straße", "été")),
        ("c++, c#, ##", ("c#", "c++")),
    ],
)
def test_tags_are_normalised_distinct_and_sorted(text: str, tags: tuple[str, ...]) -> None:
    assert parse_tags(text) == tags
    assert parse_tags(", ".join(tags)) == tags


def test_too_many_tags_and_long_ones_are_refused_in_one_sentence() -> None:
    most = ",".join(f"t{n}" for n in range(MOST_TAGS))
    assert len(parse_tags(most)) == MOST_TAGS
    with pytest.raises(SavedFault, match="A paper can have 20 tags; these are 21"):
        parse_tags(f"{most},more")
    assert parse_tags("x" * LONGEST_TAG) == ("x" * LONGEST_TAG,)
    with pytest.raises(SavedFault, match="at most 40 characters"):
        parse_tags("x" * (LONGEST_TAG + 1))


def test_a_note_keeps_its_lines_and_has_a_limit() -> None:
    assert parse_note("  one  \r\n\r\ntwo\n\n") == "one\n\ntwo"
    assert parse_note("x" * LONGEST_NOTE) == "x" * LONGEST_NOTE
    with pytest.raises(SavedFault, match="at most 2,000 characters; this one has 2,001"):
        parse_note("x" * (LONGEST_NOTE + 1))


def test_a_search_has_at_most_eight_words_and_one_tag() -> None:
    assert parse_filter(" cats  dogs cats ", "#To Read") == SavedFilter(("cats", "dogs"), "to read")
    assert len(parse_filter(" ".join(map(str, range(50))), "").words) == 8


def make_saved(number: int, **changes: object) -> SavedPaper:
    identifier = f"2609.0000{number}"
    paper = make_paper(
        id=number, key=f"arxiv:{identifier}", url=f"https://arxiv.org/abs/{identifier}"
    )
    values = {"tags": ("cats", "to read"), "note": "Good.\nRead =2 again."}
    return SavedPaper(paper, SAVED_AT, **{**values, **changes})  # type: ignore[arg-type]


def test_every_format_has_all_papers_with_tags_and_notes_under_the_same_keys() -> None:
    saved = [make_saved(2), make_saved(1)]
    keys = ["lovelace2026attention", "lovelace2026attention-arxiv-2609-00002"]
    bib = parse_string(write_export("bib", saved).decode())
    assert [entry.key for entry in bib.entries] == keys
    assert bib.entries[0]["keywords"] == "cats, to read"
    assert bib.entries[0]["annote"] == "Good. Read =2 again."
    ris = rispy.loads(write_export("ris", saved).decode())
    assert [record["id"] for record in ris] == keys
    assert (ris[0]["keywords"], ris[0]["notes"]) == (["cats", "to read"], ["Good. Read =2 again."])
    items = json.loads(write_export("json", saved))
    assert [item["id"] for item in items] == keys
    assert (items[0]["keyword"], items[0]["annote"]) == ("cats, to read", "Good.\nRead =2 again.")
    table = list(csv.DictReader(io.StringIO(write_export("csv", saved).decode("utf-8-sig"))))
    assert [row["key"] for row in table] == keys
    assert (table[0]["tags"], table[0]["note"]) == ("cats, to read", "Good.\nRead =2 again.")
    assert (table[0]["authors"], table[0]["date"]) == ("Ada Lovelace; Grace Hopper", "2026-09-18")


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_is_the_same_twice_and_a_choice_keeps_the_keys(form: str) -> None:
    saved = [make_saved(2), make_saved(1)]
    assert write_export(form, saved) == write_export(form, saved)
    chosen = write_export(form, saved, {2}).decode()
    assert "lovelace2026attention-arxiv-2609-00002" in chosen
    assert "2609.00001" not in chosen
    assert "2609" not in write_export(form, [], {2}).decode()


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)"])
def test_a_spreadsheet_takes_no_text_for_a_formula(text: str) -> None:
    (row,) = csv.DictReader(
        io.StringIO(write_export("csv", [make_saved(1, note=text)]).decode("utf-8-sig"))
    )
    assert row["note"] == f"'{text}"
