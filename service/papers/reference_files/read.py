"""Read a file of references in any of the known forms; nothing of it is stored."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from service.papers.domain.references import (
    MOST_BYTES,
    MOST_ENTRIES,
    RawReference,
    Reference,
    ReferenceFile,
    ReferenceFileError,
    Unreadable,
    find_names,
    make_reference,
)
from service.papers.reference_files import bibtex, ris
from service.papers.reference_files.csl_json import iterate_csl_json, too_many
from service.platform.work_budget import spend

_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_FEWEST_WORDS: Final = 3
_BYTES_A_STEP: Final = 40
_NO_TEXT: Final = (
    "This is not a text file. Export your references as BibTeX, RIS or CSL-JSON, and upload that."
)


def read_references(payload: bytes) -> ReferenceFile:
    """Return every entry of a file: read, or with the reason why not.

    Raises `ReferenceFileError` where the whole file is of no use. Takes time in proportion to the
    file, which has at most 2 MB and 2,000 entries, whatever is in it.
    """
    if len(payload) > MOST_BYTES:
        raise ReferenceFileError("This file is larger than 2 MB. Export one collection instead.")
    spend(len(payload) // _BYTES_A_STEP)
    text, note = _decode(payload)
    if not text.strip():
        raise ReferenceFileError("There is nothing in it. Paste references, or choose a file.")
    form, entries = _choose(text)
    found = list(islice(entries, MOST_ENTRIES + 1))
    if len(found) > MOST_ENTRIES:
        raise too_many(len(found))
    return ReferenceFile(
        form,
        tuple(each for each in found if isinstance(each, Reference)),
        tuple(each for each in found if isinstance(each, Unreadable)),
        note,
    )


def _decode(payload: bytes) -> tuple[str, str]:
    """Return the text with lines ended by line feeds, and a note where its encoding was guessed."""
    note = ""
    encoding = next((name for bom, name in _BOMS if payload.startswith(bom)), "utf-8")
    try:
        text = payload.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise ReferenceFileError(_NO_TEXT) from error
        text = payload.decode("cp1252", "replace")
        note = "The file is not in UTF-8; it was read as Windows-1252, so check the accents."
    controls = sum(text.count(chr(code)) for code in range(9))
    if "\0" in text or controls > len(text) // 50 or text.startswith("%PDF-"):
        raise ReferenceFileError(_NO_TEXT)
    return text.replace("\r\n", "\n").replace("\r", "\n"), note


def _choose(text: str) -> tuple[str, Iterator[Reference | Unreadable]]:
    """Return the name of the form and the entries. Raises `ReferenceFileError` for too many."""
    if text.lstrip()[:1] in {"[", "{"}:
        return "CSL-JSON", iterate_csl_json(text)
    if bibtex.STARTS.search(text):
        count, form, entries = bibtex.count_entries(text), "BibTeX", bibtex.iterate_bibtex(text)
    elif ris.STARTS.search(text):
        count, form, entries = ris.count_entries(text), "RIS", ris.iterate_ris(text)
    else:
        lines = _list_entries(text)
        count, form, entries = len(lines), "list", _iterate_list(lines)
    if count > MOST_ENTRIES:
        raise too_many(count)
    return form, entries


def _list_entries(text: str) -> list[tuple[int, str]]:
    """Return (line from 1, entry): a line that names one paper, or each identifier on it."""
    entries: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if len(entries) > MOST_ENTRIES:
            raise too_many(text.count("\n"))
        if not line.strip():
            continue
        words = line.replace(",", " ").replace(";", " ").split()
        if len(words) > MOST_ENTRIES and find_names(words[:1]):
            raise too_many(len(words))
        if len(words) > 1 and all(find_names([word]) for word in words):
            entries += [(number, word) for word in words]
        else:
            entries.append((number, line.strip()))
    return entries


def _iterate_list(entries: list[tuple[int, str]]) -> Iterator[Reference | Unreadable]:
    for place, (line, text) in enumerate(entries, 1):
        is_named = bool(find_names([text])) or text.lower().startswith(("http://", "https://"))
        if is_named:
            yield make_reference(place, line, RawReference(places=(text,)))
        elif len(text.split()) >= _FEWEST_WORDS:
            yield make_reference(place, line, RawReference(title=text))
        else:
            why = "it is no arXiv id, DOI, address or title; write one of them on each line"
            yield Unreadable(place, line, why)
