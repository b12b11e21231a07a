"""arXiv's search API, asked for papers whose identifiers are known.

Manual: https://info.arxiv.org/help/api/user-manual.html. It tells what the daily feed does not:
comments, the primary category, the day of submission, and authors one by one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from service.papers.domain.identifiers import IdentifierError, arxiv_url, paper_key, split_version
from service.papers.domain.types import AnnounceType, BadEntry, ParsedAnnouncement
from service.papers.sources.base import FetchState, SourceUnavailable, SourceUnreadable
from service.papers.sources.http_fetch import Fetcher
from service.papers.sources.xml_fields import (
    Element,
    line_of,
    line_text_of,
    local_name,
    moment,
    number_of,
    one_line,
    read_each,
    read_xml,
    text_of,
)

_ATOM: Final = "{http://www.w3.org/2005/Atom}"
_ARXIV: Final = "{http://arxiv.org/schemas/atom}"
_OPENSEARCH: Final = "{http://a9.com/-/spec/opensearch/1.1/}"
_ACCEPT: Final = "application/atom+xml, text/xml;q=0.9, */*;q=0.5"
_ERRORS: Final = "arxiv.org/api/errors"
# arXiv allows 2,000 results, but an address of 100 identifiers is as long as is safe.
_BATCH: Final = 100
_ATTEMPTS: Final = 3
# Authors' MSC and ACM classes stand among the categories, and look different.
_CATEGORY = re.compile(r"[a-z][a-z-]*(?:\.[A-Za-z][A-Za-z-]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiPage:
    """One answer. `total` is how many papers arXiv says there are, not how many came.

    `error` is what arXiv says is wrong with the request, or None.
    """

    announcements: tuple[ParsedAnnouncement, ...]
    bad_entries: tuple[BadEntry, ...]
    total: int
    start: int
    per_page: int
    error: str | None = None

    @property
    def is_short(self) -> bool:
        """Whether papers are absent that should be here; such pages come now and then."""
        came = len(self.announcements) + len(self.bad_entries)
        return came == 0 or came < min(self.total - self.start, self.per_page)


@dataclass(frozen=True, slots=True)
class FoundPapers:
    """Papers in the order asked for, and the identifiers that did not come back, as asked."""

    announcements: tuple[ParsedAnnouncement, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArxivApi:
    """Papers by identifier; every page is one request through the fetcher's gate."""

    api_url: str
    fetcher: Fetcher

    def fetch_papers(self, identifiers: Iterable[str]) -> FoundPapers:
        """Every paper in the version named, the newest where none is.

        Asks for 100 at a time, and up to three times for what an answer that is too short left
        out. What is no identifier of arXiv is missing without being asked for: one such makes
        arXiv refuse a whole request. Raises SourceUnavailable and SourceUnreadable.
        """
        asked = {text: _spelled(text) for text in dict.fromkeys(identifiers)}
        spelled = list(dict.fromkeys(name for name in asked.values() if name))
        found: dict[str, ParsedAnnouncement] = {}
        for start in range(0, len(spelled), _BATCH):
            found |= self._batch(spelled[start : start + _BATCH])
        papers = {spelling: found[spelling] for spelling in spelled if spelling in found}
        missing = tuple(text for text, spelling in asked.items() if spelling not in found)
        return FoundPapers(tuple(dict.fromkeys(papers.values())), missing)

    def _batch(self, spelled: Sequence[str]) -> dict[str, ParsedAnnouncement]:
        found: dict[str, ParsedAnnouncement] = {}
        for _ in range(_ATTEMPTS):
            absent = [spelling for spelling in spelled if spelling not in found]
            page = self._page(absent)
            # An identifier asked for without version is answered with the newest.
            for paper in sorted(page.announcements, key=lambda paper: paper.version):
                names = (paper.identifier, f"{paper.identifier}v{paper.version}")
                found |= {name: paper for name in names if name in absent}
            if not page.is_short or all(spelling in found for spelling in spelled):
                break
        return found

    def _page(self, spelled: Sequence[str]) -> ApiPage:
        params = {"id_list": ",".join(spelled), "start": "0", "max_results": str(len(spelled))}
        fetched = self.fetcher.fetch(
            self.api_url, accept=_ACCEPT, state=FetchState(), params=params
        )
        page = parse_api(fetched.payload or b"")
        if page.error is not None:
            raise SourceUnavailable(f"{fetched.url}: arXiv answered: {page.error}", permanent=True)
        return page


def parse_api(payload: bytes) -> ApiPage:
    """Read one answer of the API, also the body of one whose HTTP status is 400.

    An entry that cannot be read becomes a BadEntry. The announce type is told by the version
    alone: the first is NEW, a later one REPLACE. Raises SourceUnreadable for anything but a whole
    Atom feed.
    """
    root = read_xml(payload, "an answer of arXiv's API")
    if root.tag != f"{_ATOM}feed":
        name, line = local_name(root), line_of(root)
        raise SourceUnreadable(f"not an answer of arXiv's API: the document is <{name}>, {line}")
    entries = root.findall(f"{_ATOM}entry")
    errors = [_said(entry) for entry in entries if _is_error(entry)]
    papers = [entry for entry in entries if not _is_error(entry)]
    announcements, bad = read_each(papers, _announcement, line_of)
    total = number_of(root, f"{_OPENSEARCH}totalResults")
    per_page = number_of(root, f"{_OPENSEARCH}itemsPerPage")
    return ApiPage(
        announcements,
        bad,
        total=len(entries) if total is None else total,
        start=number_of(root, f"{_OPENSEARCH}startIndex") or 0,
        per_page=len(entries) if per_page is None else per_page,
        error=errors[0] if errors else None,
    )


def _is_error(entry: Element) -> bool:
    return _ERRORS in text_of(entry, f"{_ATOM}id") or (
        text_of(entry, f"{_ATOM}title") == "Error" and "/abs/" not in text_of(entry, f"{_ATOM}id")
    )


def _said(entry: Element) -> str:
    return one_line(text_of(entry, f"{_ATOM}summary")) or "an error without a reason"


def _spelled(text: str) -> str | None:
    """The identifier as arXiv spells it, with the version where one is named; None if it is none."""
    try:
        identifier, version = split_version(text)
    except IdentifierError:
        return None
    return f"{identifier}v{version}" if version else identifier


def _announcement(entry: Element) -> ParsedAnnouncement:
    """One entry. Raises ValueError with the reason where it cannot be one."""
    identifier, version = split_version(text_of(entry, f"{_ATOM}id"))
    title = text_of(entry, f"{_ATOM}title")
    if not title:
        raise ValueError(f"{identifier} has no title")
    primary = entry.find(f"{_ARXIV}primary_category")
    return ParsedAnnouncement(
        key=paper_key("arxiv", identifier),
        source="arxiv",
        identifier=identifier,
        version=version or 1,
        announce_type=AnnounceType.REPLACE if (version or 1) > 1 else AnnounceType.NEW,
        title=title,
        abstract=text_of(entry, f"{_ATOM}summary"),
        authors=_authors(entry),
        categories=_categories(entry),
        primary_category=None if primary is None else (primary.get("term") or None),
        url=arxiv_url(identifier),
        doi=line_text_of(entry, f"{_ARXIV}doi"),
        journal_ref=line_text_of(entry, f"{_ARXIV}journal_ref"),
        comment=line_text_of(entry, f"{_ARXIV}comment"),
        published_at=moment(text_of(entry, f"{_ATOM}published")),
    )


def _authors(entry: Element) -> tuple[str, ...]:
    """Names alone: an affiliation stands beside the name, not in it."""
    names = (line_text_of(author, f"{_ATOM}name") for author in entry.iterfind(f"{_ATOM}author"))
    return tuple(name for name in names if name)


def _categories(entry: Element) -> tuple[str, ...]:
    terms = (str(x.get("term", "")).strip() for x in entry.iterfind(f"{_ATOM}category"))
    return tuple(term for term in terms if _CATEGORY.fullmatch(term))
