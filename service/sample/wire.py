"""A sample day as feeds of rss.arxiv.org, byte for byte.

Sources: https://info.arxiv.org/help/rss_specifications.html and atom_specifications.html, the code of
arxiv-feed, and feeds of that server. Text is built by hand because a serializer would use its own
order of attributes and its own white space.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from typing import Final
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from service.papers.domain.categories import UnknownCategory, expand
from service.papers.domain.types import AnnounceType
from service.sample.papers import SamplePaper, sample_day

NEW_YORK: Final = ZoneInfo("America/New_York")
_RENDERING_SECONDS: Final = 2
_DECLARATION: Final = "<?xml version='1.0' encoding='UTF-8'?>"
_EXTENSIONS: Final = (
    'xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/"'
)
_RSS_ROOT: Final = (
    f'<rss {_EXTENSIONS} xmlns:atom="http://www.w3.org/2005/Atom"'
    ' xmlns:content="http://purl.org/rss/1.0/modules/content/" version="2.0">'
)
_ATOM_ROOT: Final = f'<feed {_EXTENSIONS} xmlns="http://www.w3.org/2005/Atom" xml:lang="en-us">'
_SKIP_DAYS: Final = (
    "    <skipDays>",
    "      <day>Sunday</day>",
    "      <day>Saturday</day>",
    "    </skipDays>",
)
_DISPLAY_ORDER: Final = ("new", "cross", "replace", "replace-cross")


class BadQuery(ValueError):
    """A request for no known category; arXiv responds with an error feed and HTTP 400."""


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a feed. With `error` the title is arXiv's error title."""

    names: tuple[str, ...]
    on: date
    error: str = ""

    @property
    def midnight(self) -> datetime:
        return datetime.combine(self.on, time(), tzinfo=NEW_YORK)

    @property
    def rendered_at(self) -> datetime:
        return self.midnight.astimezone(UTC) + timedelta(seconds=_RENDERING_SECONDS)

    def link(self, kind: str) -> str:
        return f"http://rss.arxiv.org/{kind}/{'+'.join(self.names)}"

    def title(self, kind: str) -> str:
        if self.error:
            return f"Feed error for query: {self.link(kind)}"
        return f"{', '.join(self.names)} updates on arXiv.org"

    @property
    def description(self) -> str:
        return self.error or f"{', '.join(self.names)} updates on the arXiv.org e-print archive."


@dataclass(frozen=True, slots=True)
class Item:
    """One paper in a feed; the type of announcement depends on the requested categories."""

    identifier: str
    version: int
    announce_type: str
    title: str
    abstract: str
    creator: str
    categories: tuple[str, ...]
    license: str
    doi: str = ""
    journal_ref: str = ""

    @property
    def description(self) -> str:
        name = f"arXiv:{self.identifier}v{self.version}"
        return f"{name} Announce Type: {self.announce_type} \nAbstract: {self.abstract}"


def rss_feed(query: str, on: date) -> bytes:
    """Return RSS 2.0 of a day for a category, an archive, or several joined by `+`. Raises BadQuery."""
    return render_rss(Heading(_names(query), on), items(query, on))


def atom_feed(query: str, on: date) -> bytes:
    """Return Atom 1.0 of a day for a category, an archive, or several joined by `+`. Raises BadQuery."""
    return render_atom(Heading(_names(query), on), items(query, on))


def listing(query: str, on: date) -> bytes:
    """Return the listing page of a category's day, as much of it as is read. Raises BadQuery."""
    counts = Counter(item.announce_type for item in items(query, on))
    sections = (
        ("New submissions", counts["new"]),
        ("Cross submissions", counts["cross"]),
        ("Replacement submissions", counts["replace"] + counts["replace-cross"]),
    )
    day = f"{on:%A}, {on.day} {on:%B %Y}"
    headings = "".join(
        f"<h3>{name} (showing {count} of {count} entries)</h3>\n"
        for name, count in sections
        if count
    )
    return (
        f"<html><body><h1>{escape(query)}</h1>\n<h3>Showing new listings for {day}</h3>\n"
        f"{headings or '<p>No updates today.</p>'}</body></html>"
    ).encode()


def items(query: str, on: date) -> list[Item]:
    """Return the papers of a request: cross-lists unless their primary category is requested."""
    wanted: frozenset[str] = frozenset().union(*(expand(name) for name in _names(query)))
    papers = [p for p in sample_day(on) if wanted & set(p.manuscript.categories)]
    return sorted(
        [_item(paper, wanted) for paper in papers],
        key=lambda item: (_DISPLAY_ORDER.index(item.announce_type), item.identifier),
    )


def render_rss(heading: Heading, items: Sequence[Item]) -> bytes:
    """Return the bytes of an RSS feed; an error feed has no `skipDays` and an odd editor address."""
    link = escape(heading.link("rss"))
    lines = [
        _DECLARATION,
        _RSS_ROOT,
        "  <channel>",
        f"    <title>{escape(heading.title('rss'))}</title>",
        f"    <link>{link}</link>",
        f"    <description>{escape(heading.description)}</description>",
        f'    <atom:link href="{link}" rel="self" type="application/rss+xml"/>',
        "    <docs>http://www.rssboard.org/rss-specification</docs>",
        "    <language>en-us</language>",
        f"    <lastBuildDate>{format_datetime(heading.rendered_at)}</lastBuildDate>",
        f"    <managingEditor>rss-help{'.' if heading.error else '@'}arxiv.org</managingEditor>",
        f"    <pubDate>{format_datetime(heading.midnight)}</pubDate>",
        *(() if heading.error else _SKIP_DAYS),
        *(line for item in items for line in _rss_item(item, heading)),
        "  </channel>",
        "</rss>",
        "",
    ]
    return "\n".join(lines).encode()


def render_atom(heading: Heading, items: Sequence[Item]) -> bytes:
    """Return the bytes of an Atom feed."""
    link = escape(heading.link("atom"))
    lines = [
        _DECLARATION,
        _ATOM_ROOT,
        f"  <id>{link}</id>",
        f"  <title>{escape(heading.title('atom'))}</title>",
        f"  <updated>{heading.rendered_at.isoformat()}</updated>",
        f'  <link href="{link}" rel="self" type="application/atom+xml"/>',
        f"  <subtitle>{escape(heading.description)}</subtitle>",
        *(line for item in items for line in _atom_entry(item, heading)),
        "</feed>",
        "",
    ]
    return "\n".join(lines).encode()


def _rss_item(item: Item, heading: Heading) -> list[str]:
    return [
        "    <item>",
        f"      <title>{escape(item.title)}</title>",
        f"      <link>https://arxiv.org/abs/{item.identifier}</link>",
        f"      <description>{escape(item.description)}</description>",
        f'      <guid isPermaLink="false">oai:arXiv.org:{item.identifier}v{item.version}</guid>',
        *(f"      <category>{escape(name)}</category>" for name in item.categories),
        f"      <pubDate>{format_datetime(heading.midnight)}</pubDate>",
        f"      <arxiv:announce_type>{item.announce_type}</arxiv:announce_type>",
        *_optional("      ", "dc:rights", item.license),
        *_optional("      ", "arxiv:DOI", item.doi),
        *_optional("      ", "arxiv:journal_reference", item.journal_ref),
        f"      <dc:creator>{escape(item.creator)}</dc:creator>",
        "    </item>",
    ]


def _atom_entry(item: Item, heading: Heading) -> list[str]:
    page = f"https://arxiv.org/abs/{item.identifier}"
    return [
        "  <entry>",
        f"    <id>oai:arXiv.org:{item.identifier}v{item.version}</id>",
        f"    <title>{escape(item.title)}</title>",
        f"    <updated>{heading.rendered_at.isoformat()}</updated>",
        f'    <link href="{page}" rel="alternate" type="text/html"/>',
        f"    <summary>{escape(item.description)}</summary>",
        *(f'    <category term="{escape(name)}"/>' for name in item.categories),
        f"    <published>{heading.midnight.isoformat()}</published>",
        f"    <arxiv:announce_type>{item.announce_type}</arxiv:announce_type>",
        *_optional("    ", "dc:rights", item.license),
        *_optional("    ", "arxiv:journal_reference", item.journal_ref),
        *_optional("    ", "arxiv:DOI", item.doi),
        f"    <dc:creator>{escape(item.creator)}</dc:creator>",
        "  </entry>",
    ]


def _optional(indent: str, name: str, text: str) -> list[str]:
    return [f"{indent}<{name}>{escape(text)}</{name}>"] if text else []


def _item(paper: SamplePaper, wanted: frozenset[str]) -> Item:
    manuscript = paper.manuscript
    return Item(
        identifier=paper.identifier,
        version=paper.version,
        announce_type=_announce_type(paper, wanted),
        title=manuscript.title,
        abstract=manuscript.abstract,
        creator=manuscript.creator,
        categories=manuscript.categories,
        license=paper.license,
        doi=manuscript.doi,
        journal_ref=manuscript.journal_ref,
    )


def _announce_type(paper: SamplePaper, wanted: frozenset[str]) -> AnnounceType:
    if paper.primary in wanted:
        return AnnounceType.REPLACE if paper.is_replacement else AnnounceType.NEW
    return AnnounceType.REPLACE_CROSS if paper.is_replacement else AnnounceType.CROSS


def _names(query: str) -> tuple[str, ...]:
    """Return the requested categories in arXiv's spelling; case does not matter, `*` is refused."""
    return tuple(_canonical_name(name) for name in query.split("+"))


def _canonical_name(name: str) -> str:
    archive, _, subject = name.partition(".")
    if subject == "*":
        raise BadQuery(_error_text(archive, subject))
    try:
        codes = expand(archive)
        if not subject:
            return archive.lower()
        return next(code for code in codes | expand(name) if code.lower() == name.lower())
    except UnknownCategory as error:
        raise BadQuery(_error_text(archive, subject)) from error


def _error_text(archive: str, subject: str) -> str:
    """Return arxiv-feed's error text, without its list of all valid names."""
    if not archive.strip():
        return "Invalid archive specification. Correct format is one or more archive names delimited by '+'."
    return f"Bad subject class '{subject}'." if subject else f"Bad archive '{archive.lower()}'."
