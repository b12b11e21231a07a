"""Fetch papers by identifier from arXiv's search API.

Manual: https://info.arxiv.org/help/api/user-manual.html. It gives what the daily feed does not:
comments, the primary category, the day of submission, and authors one by one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from service.papers.domain.identifiers import IdentifierError, arxiv_url, paper_key, split_version
from service.papers.domain.record_limits import limit_record
from service.papers.domain.types import AnnounceType, BadEntry, ParsedAnnouncement
from service.papers.sources import xml_fields
from service.papers.sources.base import FetchState, SourceUnavailable, SourceUnreadable
from service.papers.sources.http_fetch import Fetcher
from service.platform import linear_regex

_ATOM: Final = "{http://www.w3.org/2005/Atom}"
_ARXIV: Final = "{http://arxiv.org/schemas/atom}"
_OPENSEARCH: Final = "{http://a9.com/-/spec/opensearch/1.1/}"
_ACCEPT: Final = "application/atom+xml, text/xml;q=0.9, */*;q=0.5"
_ERRORS: Final = "arxiv.org/api/errors"
# arXiv allows 2,000 results, but a URL of 100 identifiers is as long as is safe.
_BATCH: Final = 100
_ATTEMPTS: Final = 3
# Authors' MSC and ACM classes are listed among the categories, in another form.
_CATEGORY = linear_regex.compile(r"[a-z][a-z-]*(?:\.[A-Za-z][A-Za-z-]*)?", "a")


@dataclass(frozen=True, slots=True)
class ApiPage:
    """One answer. `total` is how many papers arXiv says there are, not how many came.

    `error` is arXiv's error message for the request, or None.
    """

    announcements: tuple[ParsedAnnouncement, ...]
    bad_entries: tuple[BadEntry, ...]
    total: int
    start: int
    per_page: int
    error: str | None = None

    @property
    def is_short(self) -> bool:
        """Return whether papers of this page are missing, which happens now and then."""
        came = len(self.announcements) + len(self.bad_entries)
        return came == 0 or came < min(self.total - self.start, self.per_page)


@dataclass(frozen=True, slots=True)
class FoundPapers:
    """Papers in the order requested, the identifiers that were not found, and unreadable entries."""

    announcements: tuple[ParsedAnnouncement, ...]
    missing: tuple[str, ...]
    bad_entries: tuple[BadEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class ArxivApi:
    """A client for papers by identifier; every page is one request through the fetcher's gate."""

    api_url: str
    fetcher: Fetcher

    def fetch_papers(self, identifiers: Iterable[str]) -> FoundPapers:
        """Return every paper in the version named, the newest where none is.

        Requests 100 at a time, and retries up to three times for papers that an incomplete answer
        left out. A text that is no arXiv identifier is missing without a request, because arXiv
        refuses a whole request for it. Raises SourceUnavailable and SourceUnreadable.
        """
        requested = {text: _normalized(text) for text in dict.fromkeys(identifiers)}
        wanted = list(dict.fromkeys(name for name in requested.values() if name))
        found: dict[str, ParsedAnnouncement] = {}
        bad: set[BadEntry] = set()
        for start in range(0, len(wanted), _BATCH):
            found |= self._batch(wanted[start : start + _BATCH], bad)
        papers = {name: found[name] for name in wanted if name in found}
        missing = tuple(text for text, name in requested.items() if name not in found)
        unread = tuple(sorted(bad, key=lambda entry: entry.position))
        return FoundPapers(tuple(dict.fromkeys(papers.values())), missing, unread)

    def _batch(self, wanted: Sequence[str], bad: set[BadEntry]) -> dict[str, ParsedAnnouncement]:
        found: dict[str, ParsedAnnouncement] = {}
        for _ in range(_ATTEMPTS):
            absent = [name for name in wanted if name not in found]
            page = self._page(absent)
            bad |= set(page.bad_entries)
            # For an identifier without version arXiv returns the newest one.
            for paper in sorted(page.announcements, key=lambda paper: paper.version):
                names = (paper.identifier, f"{paper.identifier}v{paper.version}")
                found |= {name: paper for name in names if name in absent}
            if not page.is_short or all(name in found for name in wanted):
                break
        return found

    def _page(self, names: Sequence[str]) -> ApiPage:
        params = {"id_list": ",".join(names), "start": "0", "max_results": str(len(names))}
        fetched = self.fetcher.fetch(
            self.api_url, accept=_ACCEPT, state=FetchState(), params=params
        )
        page = parse_api(fetched.payload or b"")
        if page.error is not None:
            raise SourceUnavailable(f"arXiv answered: {page.error}", permanent=True)
        return page


def parse_api(payload: bytes) -> ApiPage:
    """Parse one answer of the API, or the body of one with HTTP status 400.

    An entry that cannot be read becomes a BadEntry. The announce type follows from the version
    alone: the first is NEW, a later one REPLACE. Raises SourceUnreadable for anything but a whole
    Atom feed.
    """
    root = xml_fields.parse_xml(payload, "an answer of arXiv's API")
    if root.tag != f"{_ATOM}feed":
        name, line = xml_fields.local_name(root), xml_fields.line_of(root)
        raise SourceUnreadable(f"not an answer of arXiv's API: the document is <{name}>, {line}")
    entries = root.findall(f"{_ATOM}entry")
    errors = [_error_text(entry) for entry in entries if _is_error(entry)]
    papers = [entry for entry in entries if not _is_error(entry)]
    announcements, bad = xml_fields.parse_each(papers, _announcement, xml_fields.line_of)
    total = xml_fields.number_of(root, f"{_OPENSEARCH}totalResults")
    per_page = xml_fields.number_of(root, f"{_OPENSEARCH}itemsPerPage")
    return ApiPage(
        announcements,
        bad,
        total=len(entries) if total is None else total,
        start=xml_fields.number_of(root, f"{_OPENSEARCH}startIndex") or 0,
        per_page=len(entries) if per_page is None else per_page,
        error=errors[0] if errors else None,
    )


def _is_error(entry: xml_fields.Element) -> bool:
    return _ERRORS in xml_fields.text_of(entry, f"{_ATOM}id") or (
        xml_fields.text_of(entry, f"{_ATOM}title") == "Error"
        and "/abs/" not in xml_fields.text_of(entry, f"{_ATOM}id")
    )


def _error_text(entry: xml_fields.Element) -> str:
    return (
        xml_fields.one_line(xml_fields.text_of(entry, f"{_ATOM}summary"))
        or "an error without a reason"
    )


def _normalized(text: str) -> str | None:
    """Return the canonical identifier, with the version if one is named; None if it is invalid."""
    try:
        identifier, version = split_version(text)
    except IdentifierError:
        return None
    return f"{identifier}v{version}" if version else identifier


def _announcement(entry: xml_fields.Element) -> ParsedAnnouncement:
    """Return one entry's announcement. Raises ValueError with the reason if it is unreadable."""
    identifier, version = split_version(xml_fields.text_of(entry, f"{_ATOM}id"))
    title = xml_fields.text_of(entry, f"{_ATOM}title")
    if not title:
        raise ValueError(f"{identifier} has no title")
    primary = entry.find(f"{_ARXIV}primary_category")
    announcement = ParsedAnnouncement(
        key=paper_key("arxiv", identifier),
        source="arxiv",
        identifier=identifier,
        version=version or 1,
        announce_type=AnnounceType.REPLACE if (version or 1) > 1 else AnnounceType.NEW,
        title=title,
        abstract=xml_fields.text_of(entry, f"{_ATOM}summary"),
        authors=_authors(entry),
        categories=_categories(entry),
        primary_category=None if primary is None else (primary.get("term") or None),
        url=arxiv_url(identifier),
        doi=xml_fields.line_text_of(entry, f"{_ARXIV}doi"),
        journal_ref=xml_fields.line_text_of(entry, f"{_ARXIV}journal_ref"),
        comment=xml_fields.line_text_of(entry, f"{_ARXIV}comment"),
        published_at=xml_fields.date_of(xml_fields.text_of(entry, f"{_ATOM}published")),
    )
    return limit_record(announcement)


def _authors(entry: xml_fields.Element) -> tuple[str, ...]:
    """Return the names only; an affiliation is an element beside the name."""
    names = (
        xml_fields.line_text_of(author, f"{_ATOM}name")
        for author in entry.iterfind(f"{_ATOM}author")
    )
    return tuple(name for name in names if name)


def _categories(entry: xml_fields.Element) -> tuple[str, ...]:
    terms = (str(x.get("term", "")).strip() for x in entry.iterfind(f"{_ATOM}category"))
    return tuple(term for term in terms if _CATEGORY.fullmatch(term))
