"""Journals' feeds: RSS, Atom or RDF, parsed by feedparser and stripped to plain text.

Publishers differ. A DOI is in `prism:doi`, in `dc:identifier`, in the entry's identifier or only
in its link; authors are one string or many; days have many spellings. A feed is rolling: it names
the same papers for weeks, so its papers are LISTED and not announced.
"""

import calendar
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import feedparser
from lxml import etree, html

from service.papers.domain import identifiers
from service.papers.domain.author_names import split_authors
from service.papers.domain.record_limits import (
    ABSTRACT,
    AUTHORS_TEXT,
    NO_DATE,
    URL,
    drop_unstorable,
    limit_record,
)
from service.papers.domain.types import AnnounceType, BadEntry, ParsedAnnouncement, ParsedBatch
from service.papers.sources.base import Expectation, Fetched, FetchState, SourceUnreadable
from service.papers.sources.http_fetch import Fetcher
from service.papers.sources.xml_fields import one_line, parse_each, refuse_many_tags
from service.platform import linear_regex

_ACCEPT: Final = (
    "application/rss+xml, application/atom+xml, application/rdf+xml, application/xml;q=0.9, "
    "text/xml;q=0.9, */*;q=0.5"
)
_ENTITY: Final = b"<!ENTITY"
# feedparser takes seconds for a megabyte. A feed of a hundred papers has some 300 kB and 3,000 tags.
_MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_TAGS: Final = 100_000
# It takes minutes for a tag with 100,000 attributes.
_LONGEST_TAG: Final = 50_000
# Encodings that write `<!ENTITY` as ASCII does. In others it would hide from the search below.
_DECLARED = linear_regex.compile(
    rb"\A.{0,4}<\?xml[^>]{0,200}?encoding\s*=\s*['\"]([\w.:-]{1,40})", "s"
)
_ENCODINGS = linear_regex.compile(
    rb"utf-?8|us-?ascii|ascii|iso-?8859-\d{1,2}|latin-?1|(?:windows|cp)-?125\d|gb2312|gbk|gb18030|big5"
    rb"|euc-(?:jp|kr)|shift[_-]jis|koi8-[ru]",
    "i",
)
# Only the end is searched: the pattern is slow over a document full of comments.
_END_BYTES: Final = 4096
_WHOLE = linear_regex.compile(rb"</(?:\w+:)?(?:rss|feed|rdf)\s*>\s*(?:<!--.*?-->\s*)*\Z", "is")
_DOI = linear_regex.compile(r"\b10\.\d{4,9}/[^\s?#&\"<>]+", "a")
# The end of an article's URL is no part of its DOI: `/doi/10.1000/1.2/full`.
_AFTER_DOI = linear_regex.compile(
    r"(?:/(?:full|abstract|pdf|epdf|meta)|\.(?:full|abstract|pdf))+\Z", "i"
)
_DAY = linear_regex.compile(r"(\d{4})[-/](\d{1,2})(?:[-/](\d{1,2}))?", "a")
_INITIALS = linear_regex.compile(r"(?:[A-Z]\.?[ -]?){1,4}")
_NOT_IN_SLUGS = linear_regex.compile(r"[^a-z0-9]+")

_MOST_MARKUP: Final = 4 * ABSTRACT

# feedparser publishes no types.
_Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JournalFeed:
    """One feed under the operator's name for it; no edition waits for it."""

    name: str
    feed_url: str
    fetcher: Fetcher
    gates_editions: bool = False
    keeps_changing: bool = False
    has_versions: bool = False

    def fetch(self, category: str, on: date | None, state: FetchState) -> Fetched:  # noqa: ARG002  # a feed has neither
        return self.fetcher.fetch(self.feed_url, accept=_ACCEPT, state=state)

    def expect(self, category: str) -> Expectation | None:  # noqa: ARG002  # the protocol's form
        """Return None: a feed states no counts."""
        return None

    def parse(self, payload: bytes) -> ParsedBatch:
        return parse_journal(payload, self.name.removeprefix("journal."))


def parse_journal(payload: bytes, feed_name: str) -> ParsedBatch:
    """Parse one feed of any kind, in its order.

    A paper's key is its DOI (`doi:10.1234/abc`), arXiv's key if the DOI is arXiv's, and otherwise
    a hash of its identifier in this feed (`feed:` and 32 hexadecimal digits). Its one category is
    `journal.` and the feed's name in lower case with hyphens. An entry without title or identifier
    becomes a BadEntry. A truncated feed is read as far as it goes, and its last entry is a bad
    one. Raises SourceUnreadable where there is nothing to read.
    """
    parsed = _parsed(payload)
    entries: Sequence[_Entry] = parsed["entries"]
    is_whole = _WHOLE.search(payload[-_END_BYTES:]) is not None
    whole = entries if is_whole else entries[:-1]
    announcements, bad = parse_each(whole, lambda entry: _announcement(entry, feed_name))
    if len(whole) < len(entries):
        bad = (*bad, BadEntry(len(whole), "the feed breaks off here"))
    return ParsedBatch(announcements, bad)


def _parsed(payload: bytes) -> Mapping[str, Any]:
    if not payload.strip():
        raise SourceUnreadable("not a feed: the answer is empty")
    _refuse_slow(payload)
    try:
        # feedparser would take plain bytes for a file name.
        parsed: Mapping[str, Any] = feedparser.parse(io.BytesIO(payload))
    except Exception as error:
        # feedparser promises never to raise, but does on some bytes and characters.
        kind = type(error).__name__
        raise SourceUnreadable(one_line(f"not a feed: {kind}: {error}")) from error
    if parsed["entries"] or (parsed.get("version") and not parsed.get("bozo")):
        return parsed
    reason = one_line(str(parsed.get("bozo_exception", ""))) or "it holds no entries"
    raise SourceUnreadable(f"not a feed: {reason}")


def _refuse_slow(payload: bytes) -> None:
    """Raise SourceUnreadable for what feedparser would take minutes for, or read files for."""
    if len(payload) > _MOST_BYTES:
        raise SourceUnreadable(f"not a feed: it is larger than {_MOST_BYTES:,} bytes")
    refuse_many_tags(payload, "a feed", _MOST_TAGS)
    tags = (part.partition(b">")[0] for part in payload.split(b"<") if not part.startswith(b"!["))
    if max(map(len, tags)) > _LONGEST_TAG:
        raise SourceUnreadable(f"not a feed: it has a tag of more than {_LONGEST_TAG:,} bytes")
    declared = _DECLARED.match(payload)
    if b"\x00" in payload[:64] or (declared and not _ENCODINGS.fullmatch(declared[1])):
        raise SourceUnreadable(
            "not a feed: its encoding is not UTF-8 or another that extends ASCII"
        )
    # No feed needs entities of its own; entity bombs and attacks that read files do.
    if _ENTITY in payload or _ENTITY.lower() in payload:
        raise SourceUnreadable("not a feed: it declares entities")


def _announcement(entry: _Entry, feed_name: str) -> ParsedAnnouncement:
    """Return one entry's announcement. Raises ValueError with the reason if it is unreadable."""
    title = " ".join(_plain(entry, "title").split())
    if not title:
        raise ValueError("has no title")
    link = _text(entry, "link")
    doi = _doi(entry)
    key, identifier = _identity(entry, doi, title)
    category = f"journal.{_NOT_IN_SLUGS.sub('-', feed_name.lower()).strip('-')}"
    announcement = ParsedAnnouncement(
        key=key,
        source=feed_name,
        identifier=identifier,
        version=1,
        announce_type=AnnounceType.LISTED,
        title=title,
        abstract=_abstract(entry),
        authors=_authors(entry),
        categories=(category,),
        primary_category=category,
        url=_url(link, doi),
        license=_text(entry, "license"),
        doi=doi,
        journal_ref=_text(entry, "prism_publicationname") or _text(entry, "dc_source"),
        published_at=_published_at(entry),
    )
    return limit_record(announcement)


def _identity(entry: _Entry, doi: str, title: str) -> tuple[str, str]:
    """Return the paper's key and its identifier."""
    if doi and identifiers.is_arxiv_id(doi):
        key = identifiers.paper_key("arxiv", doi)
        return key, key.partition(":")[2]
    if doi:
        return f"doi:{doi}", doi
    identifier = _text(entry, "id") or _text(entry, "link")
    if not identifier:
        raise ValueError(f"{title[:60]!r} has no identifier and no link")
    digest = hashlib.sha256(identifier.encode()).hexdigest()[:32]
    return f"feed:{digest}", identifier


def _doi(entry: _Entry) -> str:
    """Return the entry's own DOI in lower case, or "" if it names none."""
    for name in ("prism_doi", "dc_identifier", "id", "link"):
        if found := _DOI.search(_text(entry, name)):
            if len(found[0]) > URL:
                raise ValueError(f"{found[0][:60]}… is a DOI of {len(found[0]):,} characters")
            try:
                return identifiers.normalized_doi(_AFTER_DOI.sub("", found[0]).rstrip(".,;)/"))
            except identifiers.IdentifierError:
                continue
    return ""


def _url(link: str, doi: str) -> str:
    """Return the link if it is a web address, since messages link to it, else the DOI's."""
    if link.startswith(("https://", "http://")):
        return link
    return f"https://doi.org/{doi}" if doi else ""


def _abstract(entry: _Entry) -> str:
    """Return the longest of summary and contents: publishers put the abstract in either."""
    contents = entry.get("content", [])
    texts = [_plain(entry, "summary"), *(_stripped(c["value"], c["type"]) for c in contents)]
    return max(texts, key=len)


def _plain(entry: _Entry, name: str) -> str:
    detail = entry.get(f"{name}_detail") or {}
    return _stripped(str(entry.get(name) or ""), str(detail.get("type", "text/html")))


def _stripped(text: str, kind: str) -> str:
    """Return text without markup, scripts and styles; paragraphs become lines."""
    if len(text) > _MOST_MARKUP:
        # Too long for its limit as text, too, which then names it.
        return text
    clean = drop_unstorable(text)
    if kind != "text/plain" and clean.strip():
        # A line break in HTML source is a blank; only elements make lines.
        root = html.fragment_fromstring(" ".join(clean.split()), create_parent="div")
        etree.strip_elements(root, "script", "style", with_tail=False)
        for element in root.iter("br", "div", "li", "p"):
            element.tail = "\n" + (element.tail or "")
        clean = root.text_content()
    lines = (" ".join(line.split()) for line in clean.splitlines())
    return "\n".join(line for line in lines if line)


def _authors(entry: _Entry) -> tuple[str, ...]:
    """Return the names: several elements have one each, a single one may hold all of them."""
    people = entry.get("authors", [])
    if sum(len(str(person.get("name", ""))) for person in people) > AUTHORS_TEXT:
        return ("x" * AUTHORS_TEXT,)
    names = [" ".join(_stripped(str(p.get("name", "")), "text/html").split()) for p in people]
    named = [name for name in names if name]
    return tuple(_split(named[0])) if len(named) == 1 else tuple(named)


def _split(text: str) -> Iterator[str]:
    parts = [part.strip() for part in text.split(",")]
    if ";" in text:
        yield from filter(None, (name.strip() for name in text.split(";")))
    elif len(parts) % 2 == 0 and all(map(_INITIALS.fullmatch, parts[1::2])):
        # `Doe, J., Roe, R.`: every second part holds the initials of the name before it.
        yield from map(" ".join, zip(parts[1::2], parts[::2], strict=True))
    elif _is_last_first(parts):
        yield text
    else:
        yield from split_authors(text)


def _is_last_first(parts: Sequence[str]) -> bool:
    """Return whether the one comma is that of `Last, First`, not one between two whole names."""
    return len(parts) == 2 and min(len(part.split()) for part in parts) < 2


def _published_at(entry: _Entry) -> datetime | None:
    """Return the entry's publication time, at midnight UTC if it gives no hour."""
    # A plain copy, because feedparser's dict returns `published` for `updated`, and warns.
    stamps = dict(entry)
    if stamp := stamps.get("published_parsed") or stamps.get("updated_parsed"):
        try:
            return datetime.fromtimestamp(calendar.timegm(stamp), UTC)
        except (ValueError, OverflowError, OSError):
            return NO_DATE
    found = _DAY.match(_text(entry, "prism_publicationdate"))
    if found is None:
        return None
    year, month, day = (int(part or 1) for part in found.groups())
    try:
        return datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return NO_DATE


def _text(entry: _Entry, name: str) -> str:
    value = entry.get(name)
    return " ".join(drop_unstorable(value).split()) if isinstance(value, str) else ""
