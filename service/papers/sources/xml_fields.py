"""Parse any provider's XML: reject incomplete documents, count unreadable entries.

All functions are pure. An unreadable entry does not affect the rest of its page; an unreadable
page raises an error of one line that names the place.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final, TypeAlias, TypeVar
from xml.sax.saxutils import quoteattr

from lxml import etree

from service.papers.domain import record_limits
from service.papers.domain.types import BadEntry
from service.papers.sources.base import SourceUnreadable
from service.platform import linear_regex
from service.platform.one_line import normalise_line

# lxml publishes no types.
Element: TypeAlias = Any

_Entry = TypeVar("_Entry")
_Read = TypeVar("_Read")

# Forbidden in XML 1.0, and removed so that one of them in a title does not make a page unreadable.
_CONTROL_BYTES: Final = bytes({*range(0x20), 0x7F} - {0x09, 0x0A, 0x0D})
_HTML = linear_regex.compile(rb"<!doctype html|<html[\s>]", "i")
_OPENING = linear_regex.compile(rb"\A(?:\xef\xbb\xbf)?\s*<")
# arXiv's fullest feed has some 60,000; a document's memory grows with its tags, not its bytes.
MOST_TAGS: Final = 500_000
_REFERENCE = linear_regex.compile(r"&#(?:x([0-9a-fA-F]+)|([0-9]+));")
# Bytes that are no UTF-8, as `surrogateescape` decodes them.
_NO_TEXTS: Final = dict.fromkeys(range(0xDC80, 0xDD00), record_limits.NO_TEXT)
# One byte may break anywhere; in one entry of ten it is the encoding.
_ENTRIES_PER_NO_TEXT: Final = 10
_RECORD = linear_regex.compile(rb"<(item|entry|record)[\s>]")
# What stands before and after the records is parsed with each of them.
_LONGEST_FRAME: Final = 20_000
_FAULT: Final = "paperboy-fault"
_ENCODING = linear_regex.compile(rb"\A[^>]{0,100}encoding\s*=\s*['\"]([\w.:-]*)", "i")


def parse_xml(payload: bytes, what: str) -> Element:
    """Return the root of a whole document; `what` names its kind in errors.

    Raises SourceUnreadable for an empty answer, for HTML, for XML that is cut off, malformed, too
    deep or has too many tags, and for any document type: no provider here sends one, and every
    entity bomb needs one. A character that no text can hold does not spoil the others.
    """
    if not payload.strip():
        raise SourceUnreadable(f"not {what}: the answer is empty, line 1")
    if not _OPENING.match(payload):
        raise SourceUnreadable(f"not {what}: the answer is not XML, line 1")
    if _HTML.search(payload[:1024]):
        raise SourceUnreadable(f"not {what}: the answer is a page of HTML, line 1")
    refuse_many_tags(payload, what)
    clean = payload.translate(None, _CONTROL_BYTES)
    try:
        root = _root(clean)
    except etree.XMLSyntaxError as error:
        kind = what.removeprefix("an ")
        try:
            root = _recovered(_without_impossible(clean))
        except (etree.XMLSyntaxError, ValueError):
            # The first error names the place in the document as it came.
            message = f"malformed {kind}: {one_line(str(error.msg))}"
            raise SourceUnreadable(message) from error
    if root.getroottree().docinfo.doctype:
        raise SourceUnreadable(f"not {what}: it declares a document type, line 1")
    return root


def refuse_many_tags(payload: bytes, what: str, most: int = MOST_TAGS) -> None:
    """Raise SourceUnreadable for a document with too many tags, before anything parses it."""
    if payload.count(b"<") > most:
        raise SourceUnreadable(f"not {what}: it has more than {most:,} tags")


def _root(payload: bytes) -> Element:
    # One parser per call: lxml's default one resolves entities, and a parser is not thread-safe.
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    return etree.fromstring(payload, parser)


def _without_impossible(payload: bytes) -> bytes:
    """Return UTF-8 in which a mark stands for each character that XML does not have.

    Such are references to NUL or to half of a pair (`&#xD800;`), and bytes that are no UTF-8.
    """
    declared = _ENCODING.search(payload)
    if declared and declared[1].lower() not in {b"utf-8", b"utf8"}:
        return payload
    text = payload.decode("utf-8", "surrogateescape").translate(_NO_TEXTS)
    return _REFERENCE.sub(_possible, text).encode()


def _recovered(payload: bytes) -> Element:
    """Return the root of a document, in which a malformed record is an empty one with its fault.

    Raises XMLSyntaxError where what is around the records is not whole, so for a document that was
    cut off, and where less than half of the records can be parsed.
    """
    try:
        return _root(payload)
    except etree.XMLSyntaxError:
        found = list(_RECORD.finditer(payload))
        frame = _frame(payload, found)
        if frame is None:
            raise
        head, end = frame
        starts = [*(one.start() for one in found), len(payload) - len(end)]
        records = [payload[start:stop] for start, stop in pairwise(starts)]
        faults = [_fault_of(head + record + end) for record in records]
        if 2 * sum(map(bool, faults)) > len(faults):
            raise
        written = [
            f"<{one[1].decode()} {_FAULT}={quoteattr(fault)}/>".encode() if fault else record
            for one, record, fault in zip(found, records, faults, strict=True)
        ]
        return _root(head + b"".join(written) + end)


def _frame(
    payload: bytes, found: Sequence[linear_regex.Match[bytes]]
) -> tuple[bytes, bytes] | None:
    """Return what is before and after all records; None where it would be parsed too often."""
    if not 0 < len(found) <= record_limits.MOST_ENTRIES:
        return None
    closing = b"</" + found[-1][1] + b">"
    stop = payload.rfind(closing)
    head, end = payload[: found[0].start()], payload[stop + len(closing) :]
    is_short = len(head) + len(end) <= _LONGEST_FRAME
    return (head, end) if stop > found[-1].start() and is_short else None


def _fault_of(document: bytes) -> str:
    try:
        _root(document)
    except etree.XMLSyntaxError as error:
        return one_line(str(error.msg))
    return ""


def _possible(reference: linear_regex.Match[str]) -> str:
    hexadecimal, decimal = reference.groups()
    digits = (hexadecimal or decimal).lstrip("0")
    code = int(digits or "0", 16 if hexadecimal else 10) if len(digits) < 8 else -1
    is_character = code in {9, 10, 13} or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE
    if is_character or 0x10000 <= code < 0x110000:
        return reference[0]
    return record_limits.NO_CHARACTER


def _read_whole(entry: _Entry, read_one: Callable[[_Entry], _Read]) -> _Read:
    fault = entry.get(_FAULT) if etree.iselement(entry) else None  # type: ignore[attr-defined]
    if fault:
        raise ValueError(f"malformed: {fault}")
    return read_one(entry)


def parse_each(
    entries: Iterable[_Entry],
    read_one: Callable[[_Entry], _Read],
    place_of: Callable[[_Entry], str] = lambda _: "",
) -> tuple[tuple[_Read, ...], tuple[BadEntry, ...]]:
    """Read every entry; one for which `read_one` raises becomes a BadEntry.

    `place_of` returns an entry's place for messages; it is called for bad entries only. Raises
    SourceUnreadable for more entries than any source has, and where bytes are no text in so many
    that the whole document must be in another encoding.
    """
    read: list[_Read] = []
    bad: list[BadEntry] = []
    no_text_count = 0
    for position, entry in enumerate(entries):
        if position >= record_limits.MOST_ENTRIES:
            most = record_limits.MOST_ENTRIES
            raise SourceUnreadable(f"the answer holds more than {most:,} entries")
        try:
            read.append(_read_whole(entry, read_one))
        except record_limits.FAULTS as error:
            no_text_count += isinstance(error, record_limits.NotText)
            place = place_of(entry)
            bad.append(BadEntry(position, one_line(f"{error}, {place}" if place else f"{error}")))
    if no_text_count > max(1, (len(read) + len(bad)) // _ENTRIES_PER_NO_TEXT):
        raise SourceUnreadable(f"{no_text_count:,} entries have bytes that are no UTF-8")
    return tuple(read), tuple(bad)


def line_of(element: Element) -> str:
    """Return `line 12`, for messages."""
    return f"line {element.sourceline}"


def local_name(element: Element) -> str:
    """Return an element's name without its namespace."""
    return str(etree.QName(element).localname)


def text_of(element: Element, path: str) -> str:
    """Return all text below the first match, stripped; "" if there is none."""
    found = element.find(path)
    return "" if found is None else "".join(found.itertext()).strip()


def line_text_of(element: Element, path: str) -> str:
    """Return the same on one line, for fields whose line breaks mean nothing."""
    return " ".join(text_of(element, path).split())


def number_of(element: Element, path: str) -> int | None:
    """Return a whole number of 0 or more, or None."""
    text = text_of(element, path)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def moment(text: str) -> datetime | None:
    """Return an ISO 8601 moment as aware UTC, or None; without a zone it means UTC."""
    try:
        when = datetime.fromisoformat(text)
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def date_of(text: str) -> datetime | None:
    """Return the same, and `NO_DATE` for a text that is no moment."""
    return moment(text) or (record_limits.NO_DATE if text else None)


def one_line(text: str) -> str:
    """Return text for messages: no line breaks or control characters, at most 300 characters."""
    return normalise_line(text)[:300]
