"""bioRxiv and medRxiv: every version posted on a day.

API: https://api.biorxiv.org. Its help page names the fields, but not that a page has fewer rows
than documented, `total` may be larger than what exists, numbers may be strings, days may lack
leading zeros, and every revision is a row of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Final
from urllib.parse import quote

from service.papers.domain.identifiers import IdentifierError, normalized_doi, paper_key
from service.papers.domain.record_limits import AUTHORS_TEXT, CATEGORY, NO_DATE, limit_record
from service.papers.domain.types import AnnounceType, BadEntry, ParsedAnnouncement, ParsedBatch
from service.papers.sources import base
from service.papers.sources.http_fetch import Fetcher
from service.papers.sources.json_fields import parse_json
from service.papers.sources.xml_fields import one_line, parse_each
from service.platform import linear_regex

_SERVERS: Final = frozenset({"biorxiv", "medrxiv"})
# A busy day has some 400 rows, 14 pages of 30.
_MOST_PAGES: Final = 100
# All pages together may take as long as this many answers.
_ANSWERS_TIME: Final = 3
# Stands in our list of pages where there are more that the server does not give.
_CUT: Final = {"is_cut": True}
_VERSION_DIGITS: Final = 4
_EMPTY = linear_regex.compile(r"\bno (?:posts|papers|articles|results)\b", "i")
_DAY = linear_regex.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", "a")
_WITHDRAWN = linear_regex.compile(r"\A\W*withdrawn\b", "i")
_PARENTHESIS = linear_regex.compile(r"\([^)]*\)")
_NOT_IN_SLUGS = linear_regex.compile(r"[^a-z0-9]+")

_Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BiorxivPage:
    """One answer. The cursor advances by `count`; `total` is unreliable."""

    announcements: tuple[ParsedAnnouncement, ...]
    bad_entries: tuple[BadEntry, ...]
    count: int
    total: int | None
    cursor: int
    status: str


def build(name: str, settings: base.SourceSettings, fetcher: Fetcher) -> Biorxiv:
    """Return the source as configured; `name` is also the server's name."""
    return Biorxiv(settings.biorxiv_url, fetcher, name)


@dataclass(frozen=True, slots=True)
class Biorxiv:
    """One server's posts of a day, all categories unless one is named; no edition waits for it.

    No limit on requests is published, so the client sleeps `gap_seconds` between two pages.
    """

    base_url: str
    fetcher: Fetcher
    server: str = "biorxiv"
    gates_editions: bool = False
    keeps_changing: bool = True
    has_versions: bool = True
    gap_seconds: float = 0.5
    sleep: Callable[[float], None] = time.sleep

    @property
    def name(self) -> str:
        return self.server

    def fetch(self, category: str, on: date | None, state: base.FetchState) -> base.Fetched:
        """Return all pages of a day as one JSON list; without a day, of the last day posted.

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
        end = time.monotonic() + _ANSWERS_TIME * self.fetcher.longest_seconds
        while len(pages) < _MOST_PAGES:
            if time.monotonic() > end:
                raise base.SourceUnavailable(f"{self.server}: its pages did not end in time")
            if pages:
                self.sleep(self.gap_seconds)
            fetched = self.fetcher.fetch(
                f"{address}/{cursor}/json", accept="application/json", state=state, params=params
            )
            answer = _loaded(fetched.payload or b"")
            page = _page(answer, self.server)
            versions = {(paper.key, paper.version) for paper in page.announcements}
            # `total` may be too large, so the last page is an empty one or one with only repeats.
            if page.count == 0 or (versions and versions <= seen):
                # A server that repeats a page before its own total was reached ignores the cursor.
                is_cut = page.count > 0 and cursor < (page.total or 0)
                payload = json.dumps([*pages, *([_CUT] if is_cut else [])])
                return base.Fetched(payload.encode(), "", False, address)
            seen |= versions
            pages.append(answer)
            cursor += page.count
        raise base.SourceUnreadable(f"{self.server}: no end after {_MOST_PAGES} pages")

    def find_paper(self, doi: str) -> ParsedAnnouncement | None:
        """Return the newest version of one preprint, with the day of its first one; None if unknown.

        Raises SourceUnavailable and SourceUnreadable.
        """
        address = f"{self.base_url.rstrip('/')}/details/{self.server}/{quote(doi, safe='/')}"
        state = base.FetchState()
        fetched = self.fetcher.fetch(f"{address}/na/json", accept="application/json", state=state)
        page = parse_details(fetched.payload or b"", self.server)
        versions = [one for one in page.announcements if one.identifier == normalized_doi(doi)]
        if not versions:
            return None
        first, last = (choose(versions, key=lambda one: one.version) for choose in (min, max))
        return replace(last, published_at=first.published_at)

    def expect(self, category: str) -> base.Expectation | None:  # noqa: ARG002  # the protocol's form
        """Return None: bioRxiv states no counts."""
        return None

    def parse(self, payload: bytes) -> ParsedBatch:
        return parse_pages(payload, self.server)


def parse_pages(payload: bytes, server: str) -> ParsedBatch:
    """Parse the payload of `Biorxiv.fetch`, a list of pages. Raises SourceUnreadable."""
    answers = _loaded(payload)
    if not isinstance(answers, list):
        raise base.SourceUnreadable("not a list of bioRxiv's pages, line 1")
    pages = [_page(answer, server) for answer in answers if answer != _CUT]
    return ParsedBatch(
        tuple(announcement for page in pages for announcement in page.announcements),
        tuple(bad for page in pages for bad in page.bad_entries),
        is_truncated=_CUT in answers,
    )


def parse_details(payload: bytes, server: str = "biorxiv") -> BiorxivPage:
    """Parse one answer of `details`; `server` is for rows that do not name theirs.

    Version 1 is NEW and every later one REPLACE. A paper has one category, the server's name and
    its category in lower case with hyphens: `biorxiv.cell-biology`. As with arXiv, `doi` is that of
    the published article; the preprint's own is its identifier. Only a first version has a
    `published_at`. A row that cannot be read becomes a BadEntry. Raises SourceUnreadable for
    anything but an answer of the API.
    """
    return _page(_loaded(payload), server)


def _loaded(payload: bytes) -> object:
    return parse_json(payload, "an answer of bioRxiv")


def _page(answer: object, server: str) -> BiorxivPage:
    if not isinstance(answer, dict):
        kind = type(answer).__name__
        raise base.SourceUnreadable(f"not an answer of bioRxiv: it is a {kind}, line 1")
    message = _message(answer)
    status = one_line(_text(message, "status"))
    rows = answer.get("collection")
    if not isinstance(rows, list):
        if not _EMPTY.search(status):
            hint = f", it says {status!r}" if status else ""
            raise base.SourceUnreadable(f"not an answer of bioRxiv: no collection{hint}, line 1")
        rows = []
    announcements, bad = parse_each(rows, lambda row: _announcement(row, server))
    counted = _number(message, "count") or len(rows)
    return BiorxivPage(
        announcements,
        bad,
        # At most the rows that came: repeated rows are merged later, skipped ones would be lost.
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
    """Return one row's announcement. Raises ValueError with the reason if it is unreadable."""
    if not isinstance(row, dict):
        raise ValueError(f"is a {type(row).__name__}, not an object")  # noqa: TRY004  # a fault of the row, not of the caller
    doi = normalized_doi(_text(row, "doi"))
    title = _text(row, "title")
    if not title:
        raise ValueError(f"{doi} has no title")
    named = _text(row, "server").lower()
    source = named if named in _SERVERS else server
    version = _version(row)
    categories = _categories(source, _text(row, "category"))
    announcement = ParsedAnnouncement(
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
    return limit_record(announcement)


def _version(row: _Fields) -> int:
    """Return the version, the first where none is stated. Raises ValueError for an absurd one."""
    stated = str(row.get("version", "")).strip()
    if stated.isdigit() and len(stated) > _VERSION_DIGITS:
        raise ValueError(f"{_text(row, 'doi')[:60]} has a version {stated[:20]}…")
    return _number(row, "version") or 1


def _categories(server: str, name: str) -> tuple[str, ...]:
    if len(name) > CATEGORY:
        # Its limit refuses it; the patterns would take time.
        return (name,)
    slug = _NOT_IN_SLUGS.sub("-", _PARENTHESIS.sub("", name.lower())).strip("-")
    return (f"{server}.{slug}",) if slug else ()


def _authors(text: str) -> tuple[str, ...]:
    """Return A. Naka, J. Smith Jr. and a group for `Naka, A.; Smith, J., Jr.; The Atlas Group`."""
    if len(text) > AUTHORS_TEXT:
        return (text,)
    names = (_given_name_first(name) for name in text.split(";"))
    return tuple(name for name in names if any(character.isalpha() for character in name))


def _given_name_first(name: str) -> str:
    family, *others = (part.strip() for part in name.split(","))
    given, suffixes = (others[0], others[1:]) if others else ("", [])
    return " ".join(" ".join((given, family, *suffixes)).split())


def _published(text: str) -> str:
    try:
        return normalized_doi(text)
    except IdentifierError:
        # "NA" means that no article is published yet.
        return ""


def _midnight(text: str) -> datetime | None:
    found = _DAY.fullmatch(text)
    if found is None:
        return NO_DATE if text else None
    year, month, day = map(int, found.groups())
    try:
        return datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return NO_DATE


def _text(fields: _Fields, name: str) -> str:
    value = fields.get(name)
    return value.strip() if isinstance(value, str) else ""


def _number(fields: _Fields, name: str) -> int | None:
    """Return a whole number of 0 or more that fits a database integer, also from a string."""
    text = str(fields.get(name, "")).strip()
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if is_number else None
