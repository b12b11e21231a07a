"""Read CSL-JSON, as Zotero and others export it."""

from collections.abc import Iterator
from typing import Any

from service.papers.domain.references import (
    MOST_ENTRIES,
    RawReference,
    Reference,
    ReferenceFileError,
    Unreadable,
    make_reference,
)
from service.papers.sources.base import SourceUnreadable
from service.papers.sources.json_fields import parse_json

_PLACES = ("DOI", "URL", "number", "archive_location", "note", "id", "container-title")


def iterate_csl_json(text: str) -> Iterator[Reference | Unreadable]:
    """Yield every item in order. Raises `ReferenceFileError` where the text is no such JSON."""
    try:
        document = parse_json(text.encode("utf-8", "replace"), "CSL-JSON")
    except SourceUnreadable as error:
        raise ReferenceFileError(f"This file is {error}. Export it again as CSL-JSON.") from error
    items = document.get("items", [document]) if isinstance(document, dict) else document
    if not isinstance(items, list):
        raise ReferenceFileError("This JSON holds no list of references. Export it as CSL-JSON.")
    if len(items) > MOST_ENTRIES:
        raise too_many(len(items))
    for place, item in enumerate(items, 1):
        if isinstance(item, dict):
            yield make_reference(place, 1, _to_raw(item))
        else:
            yield Unreadable(place, 1, "it is no object with a title; export it as CSL-JSON")


def too_many(count: int) -> ReferenceFileError:
    """Return the error for a file with more entries than are read at once."""
    return ReferenceFileError(
        f"This file has {count:,} entries, and at most {MOST_ENTRIES:,} can be read at once. "
        "Export one collection instead."
    )


def _to_raw(item: dict[str, Any]) -> RawReference:
    def text(name: str) -> str:
        value = item.get(name)
        return value if isinstance(value, str) else ""

    people = item.get("author")
    return RawReference(
        text("title"),
        text("abstract"),
        tuple(filter(None, map(_name, people))) if isinstance(people, list) else (),
        tuple(filter(None, map(text, _PLACES))),
        keywords=tuple(filter(None, map(str.strip, text("keyword").replace(";", ",").split(",")))),
    )


def _name(person: object) -> str:
    if not isinstance(person, dict):
        return ""
    parts = [person.get(key) for key in ("given", "non-dropping-particle", "family")]
    words = [part for part in parts if isinstance(part, str)]
    literal = person.get("literal")
    return " ".join(words) or (literal if isinstance(literal, str) else "")
