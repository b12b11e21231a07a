"""arXiv's daily announcements from rss.arxiv.org, as RSS or Atom.

Fields and namespaces: https://info.arxiv.org/help/rss_specifications.html and
https://info.arxiv.org/help/atom_specifications.html. The dates in the feed are those of its
rendering; they are no proof of freshness.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from lxml import etree

from service.papers.domain.author_names import split_authors
from service.papers.domain.crawl_delay import is_arxiv_host
from service.papers.domain.identifiers import IdentifierError, arxiv_url, paper_key, split_version
from service.papers.domain.record_limits import AUTHORS_TEXT, FAULTS, limit_record
from service.papers.domain.types import AnnounceType, ParsedAnnouncement, ParsedBatch
from service.papers.sources import xml_fields
from service.papers.sources.arxiv_list import ArxivListing
from service.papers.sources.base import (
    Expectation,
    Fetched,
    FetchState,
    SourceSettings,
    SourceUnreadable,
)
from service.papers.sources.http_fetch import Fetcher
from service.platform import linear_regex

_ATOM: Final = "{http://www.w3.org/2005/Atom}"
_ARXIV: Final = "{http://arxiv.org/schemas/atom}"
_DC: Final = "{http://purl.org/dc/elements/1.1/}"
_ARXIV_ZONE: Final = ZoneInfo("America/New_York")
_WEEKEND: Final = frozenset({"Saturday", "Sunday"})
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# arXiv's own limit. Its query drops *new* papers first, so a feed at the limit is incomplete.
_MAX_ITEMS: Final = 2000
_ACCEPT: Final = (
    "application/rss+xml, application/atom+xml, application/xml, text/xml;q=0.9, */*;q=0.5"
)
_ABSTRACT = linear_regex.compile(r"\A\s*arXiv:\S+\s+Announce Type:.*?\bAbstract:\s*", "s")


@dataclass(frozen=True, slots=True)
class ArxivFeed:
    """arXiv's feed, one category per request; editions wait for its batches."""

    feed_url: str
    fetcher: Fetcher
    listing: ArxivListing | None = None
    name: str = "arxiv"
    gates_editions: bool = True
    keeps_changing: bool = False
    has_versions: bool = False

    def fetch(self, category: str, on: date | None, state: FetchState) -> Fetched:  # noqa: ARG002  # the feed holds today only
        return self.fetcher.fetch(
            feed_address(self.feed_url, category), accept=_ACCEPT, state=state
        )

    def expect(self, category: str) -> Expectation | None:
        """Return the listing's counts, since the feed does not show what it lost."""
        if self.listing is None:
            return None
        found = self.listing.fetch(category)
        new_ids = found.new if len(found.new) == found.new_count else ()
        return Expectation(found.on, found.new_count + found.cross_count, new_ids)

    def parse(self, payload: bytes) -> ParsedBatch:
        return parse_feed(payload)


def build(name: str, settings: SourceSettings, fetcher: Fetcher) -> ArxivFeed:
    """Return the source as configured, with arXiv's listing if requests to it are allowed."""
    has_listing = is_allowed(settings, settings.arxiv_list_url)
    listing = ArxivListing(settings.arxiv_list_url, fetcher) if has_listing else None
    return ArxivFeed(settings.arxiv_feed_url, fetcher, listing, name)


def is_allowed(settings: SourceSettings, url: str) -> bool:
    """Return whether a URL may be requested: with a feed elsewhere, arXiv's hosts may not."""
    return is_arxiv_host(settings.arxiv_feed_url) or not is_arxiv_host(url)


def feed_address(feed_url: str, category: str) -> str:
    """Return the URL of a category's feed; `/rss` is the default if the base names no format."""
    base = feed_url.rstrip("/")
    if not urlsplit(base).path.endswith(("/rss", "/atom")):
        base = f"{base}/rss"
    return f"{base}/{quote(category, safe='')}"


def parse_feed(payload: bytes) -> ParsedBatch:
    """Parse one feed, RSS 2.0 or Atom, into announcements in the feed's order.

    An entry that cannot be read becomes a BadEntry. Raises SourceUnreadable for anything but a
    whole feed: an error feed, a page of HTML, XML that is cut off or malformed.
    """
    root = xml_fields.parse_xml(payload, "an arXiv feed")
    if root.tag == "rss" and (channel := root.find("channel")) is not None:
        return _parsed(channel, _Rss())
    if root.tag == f"{_ATOM}feed":
        return _parsed(root, _Atom())
    name = etree.QName(root).localname
    raise SourceUnreadable(f"not an arXiv feed: the document is <{name}>, line {root.sourceline}")


def _parsed(feed: xml_fields.Element, dialect: _Rss | _Atom) -> ParsedBatch:
    title = xml_fields.text_of(feed, dialect.title)
    if title.startswith("Feed error"):
        line = feed.find(dialect.title).sourceline
        why = xml_fields.text_of(feed, dialect.subtitle)
        raise SourceUnreadable(xml_fields.one_line(f"arXiv answered: {title}: {why}, line {line}"))
    items = feed.findall(dialect.item)
    announcements, bad = xml_fields.parse_each(
        items, lambda item: _announcement(item, dialect), xml_fields.line_of
    )
    rendered_on = dialect.rendered_on(feed)
    weekday = _WEEKDAYS[rendered_on.weekday()] if rendered_on else ""
    return ParsedBatch(
        announcements=announcements,
        bad_entries=bad,
        rendered_on=rendered_on,
        is_skip_day=weekday in dialect.skip_days(feed),
        is_truncated=len(items) >= _MAX_ITEMS,
    )


class _Rss:
    """The places of fields in RSS 2.0."""

    item = "item"
    title = "title"
    subtitle = "description"
    identifier = "guid"
    abstract = "description"

    def link(self, item: xml_fields.Element) -> str:
        return xml_fields.text_of(item, "link")

    def categories(self, item: xml_fields.Element) -> Iterator[str]:
        return (str(category.text or "") for category in item.iterfind("category"))

    def rendered_on(self, channel: xml_fields.Element) -> date | None:
        """Return the day of `pubDate`, in the offset in which it is written."""
        try:
            return parsedate_to_datetime(xml_fields.text_of(channel, "pubDate")).date()
        except FAULTS:
            return None

    def skip_days(self, channel: xml_fields.Element) -> frozenset[str]:
        return frozenset(str(day.text or "").strip() for day in channel.iterfind("skipDays/day"))


class _Atom:
    """The places of fields in Atom."""

    item = f"{_ATOM}entry"
    title = f"{_ATOM}title"
    subtitle = f"{_ATOM}subtitle"
    identifier = f"{_ATOM}id"
    abstract = f"{_ATOM}summary"

    def link(self, item: xml_fields.Element) -> str:
        links = item.findall(f"{_ATOM}link")
        return next((str(x.get("href", "")) for x in links if x.get("rel") == "alternate"), "")

    def categories(self, item: xml_fields.Element) -> Iterator[str]:
        return (str(x.get("term", "")) for x in item.iterfind(f"{_ATOM}category"))

    def rendered_on(self, feed: xml_fields.Element) -> date | None:
        """Return the first entry's `published`, else the feed's `updated`, as a New York day."""
        stamps = (
            xml_fields.text_of(feed, f"{_ATOM}entry/{_ATOM}published"),
            xml_fields.text_of(feed, f"{_ATOM}updated"),
        )
        for stamp in stamps:
            try:
                moment = datetime.fromisoformat(stamp)
                return (moment.astimezone(_ARXIV_ZONE) if moment.tzinfo else moment).date()
            except FAULTS:
                continue
        return None

    def skip_days(self, _feed: xml_fields.Element) -> frozenset[str]:
        """Return the two days that arXiv's RSS names, since Atom has no such element."""
        return _WEEKEND


def _announcement(item: xml_fields.Element, dialect: _Rss | _Atom) -> ParsedAnnouncement:
    """Return one entry's announcement. Raises ValueError with the reason if it is unreadable."""
    identifier, version = _identity(item, dialect)
    title = xml_fields.text_of(item, dialect.title)
    if not title:
        raise ValueError(f"{identifier} has no title")
    link = dialect.link(item)
    creator = xml_fields.text_of(item, f"{_DC}creator")
    announcement = ParsedAnnouncement(
        key=paper_key("arxiv", identifier),
        source="arxiv",
        identifier=identifier,
        version=version,
        announce_type=_announce_type(
            xml_fields.text_of(item, f"{_ARXIV}announce_type"), identifier
        ),
        title=title,
        abstract=_ABSTRACT.sub("", xml_fields.text_of(item, dialect.abstract)).strip(),
        # Splitting takes time: one absurd name stands for a text that no list of authors has.
        authors=split_authors(creator) if len(creator) <= AUTHORS_TEXT else (creator,),
        categories=tuple(c for raw in dialect.categories(item) if (c := raw.strip())),
        url=link if link.startswith("https://") else arxiv_url(identifier),
        license=xml_fields.text_of(item, f"{_DC}rights"),
        doi=xml_fields.text_of(item, f"{_ARXIV}DOI"),
        journal_ref=xml_fields.text_of(item, f"{_ARXIV}journal_reference"),
    )
    return limit_record(announcement)


def _identity(item: xml_fields.Element, dialect: _Rss | _Atom) -> tuple[str, int]:
    raw = xml_fields.text_of(item, dialect.identifier)
    if not raw:
        raise ValueError("has no identifier")
    try:
        identifier, version = split_version(raw)
    except IdentifierError as error:
        raise ValueError(str(error)) from error
    return identifier, version or 1


def _announce_type(text: str, identifier: str) -> AnnounceType:
    try:
        return AnnounceType(text)
    except ValueError:
        raise ValueError(f"{identifier} has unknown announce type {text[:40]!r}") from None
