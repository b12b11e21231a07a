"""bioRxiv and medRxiv: every version posted on a day.

API: https://api.biorxiv.org; its help page names the fields and few of the traps: a page has fewer
rows than documented, `total` may promise more than exists, numbers may be strings, days may lack
their zeros, and every revision is a row of its own.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from urllib.parse import quote

from service.papers.domain.identifiers import IdentifierError, normalized_doi, paper_key
from service.papers.domain.types import AnnounceType, BadEntry, ParsedAnnouncement, ParsedBatch
from service.papers.sources.base import (
    Expectation,
    Fetched,
    FetchState,
    SourceSettings,
    SourceUnreadable,
)
from service.papers.sources.http_fetch import Fetcher
from service.papers.sources.xml_fields import one_line, read_each

_SERVERS: Final = frozenset({"biorxiv", "medrxiv"})
# A busy day has some 400 rows, 14 pages of 30.
_MOST_PAGES: Final = 200
_EMPTY = re.compile(r"\bno (?:posts|papers|articles|results)\b", re.IGNORECASE)
_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", re.ASCII)
_WITHDRAWN = re.compile(r"\A\W*withdrawn\b", re.IGNORECASE)
_PARENTHESIS = re.compile(r"\([^)]*\)")
_NOT_IN_SLUGS = re.compile(r"[^a-z0-9]+")
# JSON can carry what neither a database nor a mail can: NUL and halves of characters.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

_Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BiorxivPage:
    """One answer. `count` is by how much to advance the cursor; `total` is not to be trusted."""

    announcements: tuple[ParsedAnnouncement, ...]
    bad_entries: tuple[BadEntry, ...]
    count: int
    total: int | None
    cursor: int
    status: str


def build(name: str, settings: SourceSettings, fetcher: Fetcher) -> Biorxiv:
    """Make the source of the settings; `name` is the server's, too."""
    return Biorxiv(settings.biorxiv_url, fetcher, name)


@dataclass(frozen=True, slots=True)
class Biorxiv:
    """One server's posts of a day, all categories unless one is named; no edition waits for it.

    There is no published limit on requests, so `pace_seconds` lie between any two pages.
    """

    base_url: str
    fetcher: Fetcher
    server: str = "biorxiv"
    gates_editions: bool = False
    keeps_changing: bool = True
    tells_versions: bool = True
    pace_seconds: float = 0.5
    sleep: Callable[[float], None] = time.sleep

    @property
    def name(self) -> str:
        return self.server

    def fetch(self, category: str, on: date | None, state: FetchState) -> Fetched:
        """All pages of one day as one JSON list; without a day, those of the last day posted.

        `category` is the server's own (`cell biology`) or ours (`biorxiv.cell-biology`); empty
        means all.
        """
        interval = f"{on.isoformat()}/{on.isoformat()}" if on else "1d"
        address = f"{self.base_url.rstrip('/')}/details/{self.server}/{interval}"
        own = category.removeprefix(f"{self.server}.").strip().lower()
        params = {"category": _NOT_IN_SLUGS.sub("_", own)} if own else None
        pages: list[object] = []
        seen: set[tuple[str, int]] = set()
        cursor = 0
        while len(pages) < _MOST_PAGES:
            if pages:
                self.sleep(self.pace_seconds)
            fetched = self.fetcher.fetch(
                f"{address}/{cursor}/json", accept="application/json", state=state, params=params
            )
            answer = _loaded(fetched.payload or b"")
            page = _page(answer, self.server)
            told = {(one.key, one.version) for one in page.announcements}
            # `total` may be larger than what there is, so the end is a page with nothing on it, or
            # with nothing but what came before.
            if page.count == 0 or (told and told <= seen):
                return Fetched(json.dumps(pages).encode(), "", False, address)
            seen |= told
            pages.append(answer)
            cursor += page.count
        raise SourceUnreadable(f"{address}: no end after {_MOST_PAGES} pages")

    def expect(self, category: str) -> Expectation | None:  # noqa: ARG002  # the protocol's form
        """Nothing says elsewhere what is in the list."""
        return None

    def parse(self, payload: bytes) -> ParsedBatch:
        return parse_pages(payload, self.server)


def parse_pages(payload: bytes, server: str) -> ParsedBatch:
    """Read what `Biorxiv.fetch` brought: a list of pages. Raises SourceUnreadable."""
    answers = _loaded(payload)
    if not isinstance(answers, list):
        raise SourceUnreadable("not a list of bioRxiv's pages, line 1")
    pages = [_page(answer, server) for answer in answers]
    return ParsedBatch(
        tuple(announcement for page in pages for announcement in page.announcements),
        tuple(bad for page in pages for bad in page.bad_entries),
    )


def parse_details(payload: bytes, server: str = "biorxiv") -> BiorxivPage:
    """Read one answer of `details`; `server` is for rows that do not name theirs.

    Version 1 is NEW and every other one REPLACE. A paper's one category is its server's with that
    name before it, in lower case and with hyphens: `biorxiv.cell-biology`. `doi` is that of the
    published article, as it is with arXiv; the preprint's own is its identifier. Only a first
    version's day is a day of publication. A row that cannot be read becomes a BadEntry. Raises
    SourceUnreadable for anything but an answer of the API.
    """
    return _page(_loaded(payload), server)


def _loaded(payload: bytes) -> object:
    try:
        answer: object = json.loads(payload)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise SourceUnreadable(f"not an answer of bioRxiv: {error.msg}, {where}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise SourceUnreadable("not an answer of bioRxiv: not readable as JSON, line 1") from error
    return answer


def _page(answer: object, server: str) -> BiorxivPage:
    if not isinstance(answer, dict):
        kind = type(answer).__name__
        raise SourceUnreadable(f"not an answer of bioRxiv: it is a {kind}, line 1")
    message = _message(answer)
    status = one_line(_text(message, "status"))
    rows = answer.get("collection")
    if not isinstance(rows, list):
        if not _EMPTY.search(status):
            said = f", it says {status!r}" if status else ""
            raise SourceUnreadable(f"not an answer of bioRxiv: no collection{said}, line 1")
        rows = []
    announcements, bad = read_each(rows, lambda row: _announcement(row, server))
    counted = _number(message, "count") or len(rows)
    return BiorxivPage(
        announcements,
        bad,
        # Never by more than what came: rows that come twice are merged, skipped ones are lost.
        count=min(counted, len(rows)),
        total=_number(message, "total"),
        cursor=_number(message, "cursor") or 0,
        status=status,
    )


def _message(answer: _Fields) -> _Fields:
    messages = answer.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else {}
    return first if isinstance(first, dict) else {}


def _announcement(row: object, server: str) -> ParsedAnnouncement:
    """One row. Raises ValueError with the reason where it cannot be one."""
    if not isinstance(row, dict):
        raise ValueError(f"is a {type(row).__name__}, not an object")  # noqa: TRY004  # a fault of the row, not of the caller
    doi = normalized_doi(_text(row, "doi"))
    title = _text(row, "title")
    if not title:
        raise ValueError(f"{doi} has no title")
    named = _text(row, "server").lower()
    source = named if named in _SERVERS else server
    version = _number(row, "version") or 1
    categories = _categories(source, _text(row, "category"))
    return ParsedAnnouncement(
        key=paper_key(source, doi),
        source=source,
        identifier=doi,
        version=version,
        announce_type=AnnounceType.NEW if version == 1 else AnnounceType.REPLACE,
        title=title,
        abstract=_text(row, "abstract"),
        authors=_authors(_text(row, "authors")),
        categories=categories,
        primary_category=categories[0] if categories else None,
        url=f"https://www.{source}.org/content/{quote(doi, safe='/')}v{version}",
        license=_text(row, "license"),
        doi=_published(_text(row, "published")),
        is_withdrawn=any(_WITHDRAWN.match(_text(row, name)) for name in ("title", "type")),
        published_at=_midnight(_text(row, "date")) if version == 1 else None,
    )


def _categories(server: str, name: str) -> tuple[str, ...]:
    slug = _NOT_IN_SLUGS.sub("-", _PARENTHESIS.sub("", name.lower())).strip("-")
    return (f"{server}.{slug}",) if slug else ()


def _authors(text: str) -> tuple[str, ...]:
    """`Naka, A.; Smith, J., Jr.; The Atlas Group` is A. Naka, J. Smith Jr. and the group."""
    names = (_turned(name) for name in text.split(";"))
    return tuple(name for name in names if any(character.isalpha() for character in name))


def _turned(name: str) -> str:
    family, *others = (part.strip() for part in name.split(","))
    given, suffixes = (others[0], others[1:]) if others else ("", [])
    return " ".join(" ".join((given, family, *suffixes)).split())


def _published(text: str) -> str:
    try:
        return normalized_doi(text)
    except IdentifierError:
        # "NA" says that the preprint is all there is.
        return ""


def _midnight(text: str) -> datetime | None:
    found = _DAY.fullmatch(text)
    if found is None:
        return None
    year, month, day = map(int, found.groups())
    try:
        return datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None


def _text(fields: _Fields, name: str) -> str:
    value = fields.get(name)
    return _UNSTORABLE.sub("", value).strip() if isinstance(value, str) else ""


def _number(fields: _Fields, name: str) -> int | None:
    """A whole number of 0 or more that a database integer can hold, also where it is a string."""
    text = str(fields.get(name, "")).strip()
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if is_number else None
