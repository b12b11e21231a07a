"""Read BibTeX by `bibtexparser`, entry by entry, so that a broken one costs no other.

Its splitter stops at an `@` that begins a line, as ours does here. Each piece is bounded, so no
input is slow; what values mean (`@string`, `#`, braces) is resolved here, to bounded texts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from service.papers.domain.references import (
    MOST_ENTRY_CHARACTERS,
    RawReference,
    Reference,
    Unreadable,
    make_reference,
)
from service.platform import linear_regex
from service.platform.one_line import normalise_line

if TYPE_CHECKING:
    from bibtexparser.model import Block, Entry

STARTS: Final = linear_regex.compile(r"(?m)^[ \t]*@[ \t]*[A-Za-z]+[ \t]*[{(]")
_NO_ENTRY: Final = linear_regex.compile(r"\A\s*@[ \t]*(?:string|comment|preamble)\b", "i")
_AND = linear_regex.compile(r"\s+and\s+", "i")
_SEPARATORS = linear_regex.compile(r"[,;\n]+")
_LONGEST_VALUE: Final = 20_000
_LONGEST_STRING: Final = 1_000
# What the splitter stops at; each costs some microseconds. A real entry has a hundred.
_MARKS: Final = '{}",=@#\n'
_MOST_MARKS_OF_ONE, _MOST_MARKS = 20_000, 400_000
_TOO_LARGE: Final = "it is far larger than an entry should be; shorten it"
_TOO_MUCH: Final = "there is too much before it; put this and what follows into another file"
_PLACES: Final = (
    "doi", "eprint", "url", "journal", "volume", "note", "howpublished", "number", "arxivid", "link",
)  # fmt: skip


def count_entries(text: str) -> int:
    """Return how many entries begin in a text."""
    starts = (found.group(0).lower() for found in STARTS.finditer(text))
    return sum(not _NO_ENTRY.match(start) for start in starts)


def iterate_bibtex(text: str) -> Iterator[Reference | Unreadable]:
    """Yield every entry in order, read or with the reason why not."""
    # Loaded here: it takes a while, and few processes read a file.
    from bibtexparser.splitter import Splitter

    logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)
    strings: dict[str, str] = {}
    place, left = 0, _MOST_MARKS
    for line, chunk in _iterate_chunks(text):
        marks = sum(map(chunk.count, _MARKS))
        is_large = len(chunk) > MOST_ENTRY_CHARACTERS or marks > _MOST_MARKS_OF_ONE
        if is_large or marks > left:
            if not _NO_ENTRY.match(chunk):
                place += 1
                yield Unreadable(place, line, _TOO_LARGE if is_large else _TOO_MUCH)
            continue
        left -= marks
        for block in Splitter(chunk).split().blocks:
            found = _read_block(block, strings, place + 1, line)
            if found is not None:
                place += 1
                yield found


def _iterate_chunks(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line from 1, text) from the start of each block to that of the next one."""
    starts = [found.start() for found in STARTS.finditer(text)]
    line, before = 1, 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        line += text.count("\n", before, start)
        before = start
        yield line, text[start:end]


def _read_block(
    block: Block, strings: dict[str, str], place: int, line: int
) -> Reference | Unreadable | None:
    """Return the entry of a block; None for comments, preambles and strings, which are learned."""
    from bibtexparser.model import Entry, ParsingFailedBlock, String

    at = line + max(0, block.start_line or 0)
    if isinstance(block, String):
        strings[block.key.lower()] = _resolve(block.value, strings)[:_LONGEST_STRING]
        return None
    if isinstance(block, ParsingFailedBlock):
        inner = block.ignore_error_block
        if isinstance(inner, Entry):  # a field twice: the first one counts
            return _read_entry(inner, strings, place, at)
        if _NO_ENTRY.match(block.raw or ""):
            return None
        return Unreadable(place, at, f"its braces or commas are broken; it begins {_begin(block)}")
    return _read_entry(block, strings, place, at) if isinstance(block, Entry) else None


def _begin(block: Block) -> str:
    return f"“{normalise_line((block.raw or '')[:40])}”"


def _read_entry(
    entry: Entry, strings: Mapping[str, str], place: int, line: int
) -> Reference | Unreadable:
    values: dict[str, str] = {}
    for each in entry.fields:
        values.setdefault(each.key.lower(), _resolve(str(each.value), strings))
    archive = values.get("archiveprefix") or values.get("eprinttype") or ""
    places = [values[name] for name in _PLACES if values.get(name)]
    if archive.lower() == "arxiv" and values.get("eprint"):
        places.insert(0, f"arXiv:{values['eprint']}")
    authors = _AND.split(values.get("author", "")) if values.get("author") else []
    raw = RawReference(
        values.get("title", ""),
        values.get("abstract", ""),
        tuple(name.replace("{", "").replace("}", "") for name in authors),
        tuple(places),
        tuple(values[name] for name in ("primaryclass", "eprintclass") if values.get(name)),
        tuple(filter(None, map(str.strip, _SEPARATORS.split(values.get("keywords", ""))))),
    )
    return make_reference(place, line, raw)


def _resolve(value: str, strings: Mapping[str, str]) -> str:
    """Return the text of a value: `{a} # b # "c"`, where `b` is a `@string`."""
    value = value[:_LONGEST_VALUE]
    parts = _split_joined(value) if "#" in value else [value]
    return "".join(_unwrap(part.strip(), strings) for part in parts)[:_LONGEST_VALUE]


def _split_joined(value: str) -> list[str]:
    """Split at each `#` outside of braces and quotes."""
    parts, start, depth, is_quoted = [], 0, 0, False
    for place, character in enumerate(value):
        if character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
        elif character == '"' and depth == 0:
            is_quoted = not is_quoted
        elif character == "#" and depth == 0 and not is_quoted:
            parts.append(value[start:place])
            start = place + 1
    return [*parts, value[start:]]


def _unwrap(part: str, strings: Mapping[str, str]) -> str:
    if len(part) > 1 and part[0] + part[-1] in {"{}", '""'}:
        return part[1:-1]
    return strings.get(part.lower(), part)
