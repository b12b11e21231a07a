"""arXiv's listing page `/list/<category>/new`, used only to check other channels against it.

Only here does arXiv state the day of an announcement, the size of its three sections, and that
nothing was announced. Its markup changes, so little more than the headings is read. Layout:
`list/new.html` and the section headings of arXiv's published web code (arxiv-browse).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import quote

from lxml import etree, html

from service.papers.domain.identifiers import IdentifierError, canonical_arxiv_id
from service.papers.sources.base import FetchState, SourceUnreadable
from service.papers.sources.http_fetch import Fetcher
from service.papers.sources.xml_fields import Element, refuse_many_tags
from service.platform import linear_regex

_ACCEPT: Final = "text/html, */*;q=0.5"
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_MONTHS: Final = "jan feb mar apr may jun jul aug sep oct nov dec"
# Two spellings each: the sections' headings, and the index above them in older pages.
_SECTION = linear_regex.compile(
    r"\A(?:(?P<new>New submissions)|(?P<cross>Cross(?: submissions|-lists?))"
    r"|(?P<replacement>Replacement(?: submission)?s))\b",
    "i",
)
# `(showing first 50 of 123 entries )`, `(continued, showing last 3 of 5 entries )`.
_COUNT = linear_regex.compile(r"\bshowing\s+(?:\w+\s+)?\d[\d,]*\s+of\s+(\d[\d,]*)\s+entr", "i")
_TOTAL = linear_regex.compile(r"\btotal\s+of\s+(\d[\d,]*)\s+entr", "i")
_DAY = linear_regex.compile(
    r"\b(?:for|announced)\s+\w+,\s+(\d{1,2})\s+([A-Z][a-z]{2,8})\s+(\d{4}|\d{2})\b"
)
# arXiv has three million papers, and announces a thousand a day.
_MOST_DIGITS: Final = 6
_NOTHING = linear_regex.compile(r"\bNo updates\b", "i")
_ABSTRACT = linear_regex.compile(r"(?:\A|/)abs/(.+)\Z")


@dataclass(frozen=True, slots=True)
class Listing:
    """The papers that arXiv says it announced in one category.

    The counts are arXiv's own statements. The identifiers are those found below each heading; they
    may be fewer if the page shows a part or its markup changed. `is_empty` is true only if the page
    says that there are no updates.
    """

    on: date
    new_count: int = 0
    cross_count: int = 0
    replacement_count: int = 0
    new: tuple[str, ...] = ()
    cross: tuple[str, ...] = ()
    replacements: tuple[str, ...] = ()
    is_empty: bool = False


@dataclass(frozen=True, slots=True)
class ArxivListing:
    """A client for the listing, one category per request."""

    list_url: str
    fetcher: Fetcher

    def fetch(self, category: str) -> Listing:
        """Return the category's current listing. Raises SourceUnavailable and SourceUnreadable."""
        address = f"{self.list_url.rstrip('/')}/{quote(category, safe='')}/new"
        fetched = self.fetcher.fetch(address, accept=_ACCEPT, state=FetchState())
        return parse_listing(fetched.payload or b"")


@dataclass(slots=True)
class _Section:
    """One section while it is parsed: the heading's count and the identifiers below it."""

    stated: int | None
    identifiers: list[str]

    @property
    def count(self) -> int:
        return len(self.identifiers) if self.stated is None else self.stated


def parse_listing(payload: bytes) -> Listing:
    """Parse one page. Raises SourceUnreadable where the page is ambiguous.

    An absent section counts 0, but only if the sections add up to the page's own total: a wrong
    check would be worse than none.
    """
    root = _root(payload)
    text = " ".join(root.text_content().split())
    on = _day(text)
    sections = _sections(root)
    if not sections:
        if _NOTHING.search(text):
            return Listing(on, is_empty=True)
        raise SourceUnreadable("not a listing: it has no section, and does not say why")
    _check(sections, text)
    new, cross, replacement = (
        sections.get(name) or _Section(0, []) for name in ("new", "cross", "replacement")
    )
    return Listing(
        on,
        new.count,
        cross.count,
        replacement.count,
        tuple(new.identifiers),
        tuple(cross.identifiers),
        tuple(replacement.identifiers),
    )


def _root(payload: bytes) -> Element:
    refuse_many_tags(payload, "a listing")
    # A listing that names no encoding is UTF-8, not HTML's default of Latin-1.
    parser = html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True)
    try:
        root = html.document_fromstring(payload, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError) as error:
        raise SourceUnreadable("not a listing: the answer is empty") from error
    etree.strip_elements(root, "script", "style", with_tail=False)
    return root


def _day(text: str) -> date:
    found = _DAY.search(text)
    if found is None:
        raise SourceUnreadable("not a listing: it names no day")
    day, month, year = found.groups()
    try:
        number = _MONTHS.split().index(month[:3].lower()) + 1
        return date(int(year) + (2000 if len(year) == 2 else 0), number, int(day))
    except ValueError as error:
        raise SourceUnreadable(f"not a listing: {day} {month} {year} is no day") from error


def _sections(root: Element) -> dict[str, _Section]:
    sections: dict[str, _Section] = {}
    current: _Section | None = None
    for element in root.iter(etree.Element):
        if element.tag in _HEADINGS:
            heading = " ".join(element.text_content().split())
            if found := _SECTION.match(heading):
                stated = _COUNT.search(heading)
                current = _Section(_number(stated[1]) if stated else None, [])
                sections[str(found.lastgroup)] = current
        elif current is not None and element.tag == "a":
            current.identifiers.extend(_listed(element))
    return sections


def _listed(link: Element) -> Iterator[str]:
    """Yield the paper that a link lists; links in abstracts only mention papers."""
    found = _ABSTRACT.search(link.get("href", "").strip())
    if found is None:
        return
    in_term = next(link.iterancestors("dt"), None) is not None
    if in_term or link.get("title", "").lower() == "abstract":
        try:
            yield canonical_arxiv_id(found[1])
        except IdentifierError:
            return


def _check(sections: dict[str, _Section], text: str) -> None:
    if any(section.stated is None and not section.identifiers for section in sections.values()):
        raise SourceUnreadable("not a listing: a section states no count and lists no paper")
    counted = sum(section.count for section in sections.values())
    total = _TOTAL.search(text)
    if total and _number(total[1]) != counted:
        raise SourceUnreadable(
            f"not a whole listing: its sections count {counted} of {_number(total[1])} entries"
        )


def _number(text: str) -> int:
    digits = text.replace(",", "")
    if len(digits) > _MOST_DIGITS:
        raise SourceUnreadable("not a listing: it counts more papers than arXiv has")
    return int(digits)
