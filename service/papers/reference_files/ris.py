"""Read RIS by `rispy`, record by record.

Lines are made regular first: exporters differ in the blanks after a tag, and `rispy` joins a value
of many lines in quadratic time.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from service.papers.domain.references import (
    MOST_ENTRY_CHARACTERS,
    RawReference,
    Reference,
    Unreadable,
    make_reference,
)
from service.platform import linear_regex

STARTS: Final = linear_regex.compile(r"(?m)^[ \t]*TY[ \t]{0,4}-")
_MOST_TAGS: Final = 500
_PLACES: Final = (
    "doi", "urls", "number", "custom7", "note", "notes", "label", "accession_number", "volume",
    "file_attachments1",
)  # fmt: skip


def count_entries(text: str) -> int:
    """Return how many records begin in a text."""
    return sum(1 for _ in STARTS.finditer(text))


def iterate_ris(text: str) -> Iterator[Reference | Unreadable]:
    """Yield every record in order, read or with the reason why not."""
    starts = [found.start() for found in STARTS.finditer(text)]
    place, line, before = 0, 1, 0
    if text[: starts[0]].strip():
        place = 1
        yield Unreadable(1, 1, "text before the first TY line belongs to no record")
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        line += text.count("\n", before, start)
        before = start
        for found in _read(text[start:end], place + 1, line):
            place += 1
            yield found


def _read(chunk: str, place: int, line: int) -> Iterator[Reference | Unreadable]:
    # Loaded here, as few processes read a file.
    import rispy

    if len(chunk) > MOST_ENTRY_CHARACTERS:
        yield Unreadable(place, line, "it is longer than 200,000 characters; shorten it")
        return
    lines, rest = _make_regular(chunk.split("\n"))
    for record in rispy.loads("\n".join(lines)):
        yield make_reference(place, line, _to_raw(record))
        place += 1
    if rest:
        yield Unreadable(place, line + rest, "lines after ER belong to no record: TY is missing")


def _make_regular(lines: Sequence[str]) -> tuple[list[str], int]:
    """Return a record's lines `XX  - value` to its end, and the index of a line after it, or 0."""
    values: list[list[str]] = []
    for number, line in enumerate(lines):
        text = line.strip()
        tag, rest = text[:2], text[2:].lstrip()
        if not (rest.startswith("-") and len(tag) == 2 and tag.isupper() and tag.isalnum()):
            if values and text:
                values[-1].append(text)
        elif tag == "ER":
            after = (n for n in range(number + 1, len(lines)) if lines[n].strip())
            return _close(values), next(after, 0)
        elif len(values) < _MOST_TAGS:
            values.append([f"{tag}  - {rest[1:].strip()}"])
    return _close(values), 0


def _close(values: list[list[str]]) -> list[str]:
    return [*(" ".join(value) for value in values), "ER  - "]


def _to_raw(record: dict[str, Any]) -> RawReference:
    def texts(*names: str) -> tuple[str, ...]:
        found = (record.get(name) for name in names)
        lists = (each if isinstance(each, list) else [each] for each in found if each)
        return tuple(str(text) for each in lists for text in each)

    return RawReference(
        next(iter(texts("title", "primary_title", "translated_title")), ""),
        next(iter(texts("abstract", "notes_abstract")), ""),
        texts("authors", "first_authors"),
        texts(*_PLACES),
        keywords=texts("keywords"),
    )
