"""Reading XML: incomplete documents are refused in one line, bad entries are counted."""

from datetime import UTC, datetime

import pytest

from service.papers.domain.record_limits import NO_CHARACTER
from service.papers.domain.types import BadEntry
from service.papers.sources.base import SourceUnreadable
from service.papers.sources.xml_fields import (
    line_of,
    line_text_of,
    local_name,
    moment,
    number_of,
    one_line,
    parse_each,
    parse_xml,
    text_of,
)

BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE list [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>
<list>&b;</list>"""


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not a list: the answer is empty, line 1"),
        (b" \n ", "not a list: the answer is empty, line 1"),
        (b"Rate exceeded.", "not a list: the answer is not XML, line 1"),
        (b"<!DOCTYPE html>\n<p>Down", "not a list: the answer is a page of HTML, line 1"),
        (b"<html lang='en'>", "not a list: the answer is a page of HTML, line 1"),
        (b"<list><item>", "malformed list: "),
        (b"<list>&nbsp;</list>", "malformed list: "),
        (BOMB, "not a list: it declares a document type, line 1"),
    ],
)
def test_anything_but_a_whole_document_is_refused_in_one_line(payload: bytes, reason: str) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        parse_xml(payload, "a list" if reason.startswith("not") else "list")
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)


def test_a_file_named_by_an_entity_is_never_read() -> None:
    payload = b'<!DOCTYPE list [<!ENTITY f SYSTEM "file:///etc/passwd">]><list>&f;</list>'
    with pytest.raises(SourceUnreadable, match="declares a document type"):
        parse_xml(payload, "a list")


def test_a_control_character_does_not_make_a_document_unreadable() -> None:
    assert text_of(parse_xml(b"<list><a>x\x0by</a></list>", "a list"), "a") == "xy"


def test_an_impossible_character_makes_a_document_in_another_encoding_unreadable() -> None:
    payload = "<?xml version='1.0' encoding='{}'?><list><a>x&#0;y</a></list>"
    marked = parse_xml(payload.format("UTF-8").encode(), "a list")
    assert text_of(marked, "a") == f"x{NO_CHARACTER}y"
    with pytest.raises(SourceUnreadable, match="malformed"):
        parse_xml(payload.format("ISO-8859-1").encode(), "a list")


def test_fields_are_read_with_and_without_their_lines() -> None:
    root = parse_xml(
        b"\xef\xbb\xbf<l xmlns='urn:l'><a>\n x\n  <b>y</b> </a><n>12</n></l>", "a list"
    )
    assert local_name(root) == "l"
    assert line_of(root) == "line 1"
    assert text_of(root, "{*}a") == "x\n  y"
    assert line_text_of(root, "{*}a") == "x y"
    assert text_of(root, "{*}absent") == ""
    assert number_of(root, "{*}n") == 12
    assert number_of(root, "{*}a") is None


def test_an_entry_that_cannot_be_read_is_counted_and_the_others_are_kept() -> None:
    read, bad = parse_each(["1", "x", "3"], int, lambda text: f"at {text}")
    assert read == (1, 3)
    (entry,) = bad
    assert entry.position == 1
    assert entry.reason.endswith("'x', at x")


def test_an_entry_without_a_place_is_reported_by_its_reason() -> None:
    def refuse(_: str) -> None:
        raise ValueError("has\nno title")

    assert parse_each(["x"], refuse) == ((), (BadEntry(0, "has no title"),))


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2026-09-18T05:00:00Z", datetime(2026, 9, 18, 5, tzinfo=UTC)),
        ("2026-09-18T01:00:00-04:00", datetime(2026, 9, 18, 5, tzinfo=UTC)),
        ("2026-09-18", datetime(2026, 9, 18, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_moment_is_utc_or_none(text: str, when: datetime | None) -> None:
    assert moment(text) == when


def test_a_message_is_one_short_line() -> None:
    assert one_line("a\x00b\r\nc " + "d" * 400) == ("a b c " + "d" * 400)[:300]
