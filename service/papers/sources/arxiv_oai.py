"""arXiv's OAI-PMH interface: all records that changed since a day, in pages.

Protocol: https://www.openarchives.org/OAI/openarchivesprotocol.html; what arXiv does with it:
https://info.arxiv.org/help/oa/index.html. A record's datestamp is that of its last change of any
kind, administrative ones too; it says nothing about submission or announcement.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from service.papers.domain import identifiers
from service.papers.domain.author_names import split_authors
from service.papers.domain.record_limits import AUTHORS_TEXT, limit_record
from service.papers.domain.types import AnnounceType, BadEntry, ParsedAnnouncement
from service.papers.sources import xml_fields
from service.papers.sources.base import FetchState, SourceUnavailable, SourceUnreadable
from service.papers.sources.http_fetch import Fetcher
from service.platform import linear_regex

_ACCEPT: Final = "text/xml, application/xml;q=0.9, */*;q=0.5"
_RESTARTS: Final = 3
# All of arXiv is 2,000 pages or more of 1,300 records; a token has some 50 characters.
_MOST_PAGES: Final = 10_000
_LONGEST_TOKEN: Final = 2_000
_NOTHING: Final = "noRecordsMatch"
_EXPIRED: Final = "badResumptionToken"
# The groups that are archives themselves; all other archives belong to the group physics.
_OWN_GROUPS: Final = frozenset({"cs", "econ", "eess", "math", "q-bio", "q-fin", "stat"})
_VERSION = linear_regex.compile(r"v?([1-9]\d{0,3})", "a")


class ResumptionTokenExpired(SourceUnavailable):
    """The resumption token has expired; the list must be requested from its start."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a paper. `source_type` holds letters, of which `I` means withdrawn."""

    version: int
    submitted_at: datetime
    source_type: str = ""


@dataclass(frozen=True, slots=True)
class OaiRecord:
    """One paper as it is now; a deleted one has no announcement.

    `identifier` is canonical if it is arXiv's, otherwise the header's text. `versions` are in
    order, and empty in formats that do not list them.
    """

    identifier: str
    datestamp: date
    sets: tuple[str, ...]
    is_deleted: bool
    announcement: ParsedAnnouncement | None = None
    versions: tuple[Version, ...] = ()

    @property
    def is_first_version(self) -> bool:
        return self.announcement is not None and self.announcement.version == 1


@dataclass(frozen=True, slots=True)
class OaiPage:
    """One answer. `resumption_token` is None at the end of the list.

    The next harvest begins from `response_date`. `error` is `noRecordsMatch` or None, since an
    empty answer is normal.
    """

    records: tuple[OaiRecord, ...] = ()
    bad_entries: tuple[BadEntry, ...] = ()
    resumption_token: str | None = None
    response_date: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ArxivOai:
    """A client for lists of changed papers; a page is one request through the fetcher's gate."""

    oai_url: str
    fetcher: Fetcher
    most_pages: int = _MOST_PAGES

    def harvest(
        self,
        since: date,
        set_spec: str | None = None,
        prefix: str = "arXivRaw",
        on_page: Callable[[OaiPage], None] | None = None,
    ) -> Iterator[OaiRecord]:
        """Yield every record that changed on `since` (a UTC day) or later.

        There is no end date because arXiv asks for none. Tokens expire every midnight; the list
        then restarts, so records may come twice and callers upsert. Raises ResumptionTokenExpired
        after three restarts, and the errors of a fetch.
        """
        first = {"metadataPrefix": prefix, "from": since.isoformat()}
        first |= {"set": set_spec} if set_spec else {}
        restarts = 0
        while True:
            try:
                yield from self._list(first, on_page)
            except ResumptionTokenExpired:
                restarts += 1
                if restarts > _RESTARTS:
                    raise
            else:
                return

    def _list(
        self, first: dict[str, str], on_page: Callable[[OaiPage], None] | None
    ) -> Iterator[OaiRecord]:
        seen: set[str] = set()
        arguments = first
        while len(seen) < self.most_pages:
            page = self._page(arguments)
            if on_page is not None:
                on_page(page)
            yield from page.records
            token = page.resumption_token
            if token is None:
                return
            if token in seen:
                raise SourceUnreadable(
                    f"arXiv's list goes in circles: token {xml_fields.one_line(token)[:80]}"
                )
            if len(token) > _LONGEST_TOKEN or not (page.records or page.bad_entries):
                raise SourceUnreadable(
                    "arXiv's list goes on without records, or by no token of its"
                )
            seen.add(token)
            # A token replaces all other arguments and must be alone (protocol, 3.5).
            arguments = {"resumptionToken": token}
        raise SourceUnreadable(f"arXiv's list has no end after {self.most_pages} pages")

    def _page(self, arguments: dict[str, str]) -> OaiPage:
        fetched = self.fetcher.fetch(
            self.oai_url,
            accept=_ACCEPT,
            state=FetchState(),
            params={"verb": "ListRecords"} | arguments,
        )
        return parse_oai(fetched.payload or b"")


def set_of(category: str) -> str:
    """Return the set of a category or archive: `cs:cs:AI` for `cs.AI`, `physics:hep-th`."""
    archive, _, subject = category.partition(".")
    group = archive if archive in _OWN_GROUPS else "physics"
    return ":".join((group, archive, subject) if subject else (group, archive))


def parse_oai(payload: bytes) -> OaiPage:
    """Parse one answer to ListRecords or GetRecord in the formats `arXiv` and `arXivRaw`.

    A record that cannot be read becomes a BadEntry. No format says how a paper was announced, so
    the announce type follows from the version alone: the first is NEW, a later one REPLACE, and
    cross-lists are not seen. `arXiv` gives no version either: see `_as_arxiv`. Raises
    ResumptionTokenExpired, and SourceUnreadable for every other error and anything not OAI-PMH.
    """
    root = xml_fields.parse_xml(payload, "OAI-PMH")
    if xml_fields.local_name(root) != "OAI-PMH":
        raise SourceUnreadable(
            f"not OAI-PMH: the document is <{xml_fields.local_name(root)}>, {xml_fields.line_of(root)}"
        )
    response_date = xml_fields.moment(xml_fields.text_of(root, "{*}responseDate"))
    if (error := _error(root)) is not None:
        return OaiPage(response_date=response_date, error=error)
    body = _body(root)
    records, bad = xml_fields.parse_each(body.iterfind("{*}record"), _record, xml_fields.line_of)
    token = xml_fields.text_of(body, "{*}resumptionToken")
    return OaiPage(records, bad, token or None, response_date)


def _error(root: xml_fields.Element) -> str | None:
    """Return `noRecordsMatch` if that is the only error, or None; raise for every other code."""
    errors = {str(e.get("code", "")): e for e in root.iterfind("{*}error")}
    for code, element in errors.items():
        text = xml_fields.one_line("".join(element.itertext()))
        message = f"arXiv answered {code or 'an error'}" + (f": {text}" if text else "")
        message = f"{message}, {xml_fields.line_of(element)}"
        if code == _EXPIRED:
            raise ResumptionTokenExpired(message)
        if code != _NOTHING:
            raise SourceUnreadable(message)
    return _NOTHING if errors else None


def _body(root: xml_fields.Element) -> xml_fields.Element:
    for name in ("ListRecords", "GetRecord"):
        if (body := root.find(f"{{*}}{name}")) is not None:
            return body
    others = [xml_fields.local_name(child) for child in root][2:]
    held = f"<{others[0]}>" if others else "nothing"
    raise SourceUnreadable(
        f"no list of records: the answer holds {held}, {xml_fields.line_of(root)}"
    )


def _record(record: xml_fields.Element) -> OaiRecord:
    """Return one record. Raises ValueError with the reason if it is unreadable."""
    header = record.find("{*}header")
    if header is None:
        raise ValueError("has no header")
    identifier = _identifier(xml_fields.text_of(header, "{*}identifier"))
    datestamp = date.fromisoformat(xml_fields.text_of(header, "{*}datestamp")[:10])
    sets = tuple(str(s.text or "").strip() for s in header.iterfind("{*}setSpec"))
    if header.get("status") == "deleted":
        return OaiRecord(identifier, datestamp, sets, is_deleted=True)
    metadata = next(iter(record.iterfind("{*}metadata/*")), None)
    name = "nothing" if metadata is None else xml_fields.local_name(metadata)
    if name == "arXivRaw":
        versions = _versions(metadata, identifier)
        announcement = _as_raw(metadata, versions)
    elif name == "arXiv":
        versions, announcement = (), _as_arxiv(metadata)
    else:
        raise ValueError(f"{identifier} has its metadata as {name}, not arXiv or arXivRaw")
    return OaiRecord(identifier, datestamp, sets, False, announcement, versions)


def _identifier(text: str) -> str:
    if not text:
        raise ValueError("has no identifier")
    try:
        return identifiers.canonical_arxiv_id(text)
    except identifiers.IdentifierError:
        return text


def _versions(metadata: xml_fields.Element, identifier: str) -> tuple[Version, ...]:
    versions = sorted(
        (_version(element) for element in metadata.iterfind("{*}version")),
        key=lambda version: version.version,
    )
    if not versions:
        raise ValueError(f"{identifier} names no version")
    return tuple(versions)


def _version(element: xml_fields.Element) -> Version:
    number = _VERSION.fullmatch(element.get("version", ""))
    if number is None:
        raise ValueError(f"has a version {element.get('version', '')[:20]!r}")
    # RFC 2822; a zone written "-0000" comes back naive, and it means UTC.
    when = parsedate_to_datetime(xml_fields.text_of(element, "{*}date"))
    submitted_at = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    return Version(int(number[1]), submitted_at, xml_fields.text_of(element, "{*}source_type"))


def _as_raw(metadata: xml_fields.Element, versions: tuple[Version, ...]) -> ParsedAnnouncement:
    """Read `arXivRaw`, which has all versions, and the authors as one string."""
    first, last = versions[0], versions[-1]
    authors = xml_fields.line_text_of(metadata, "{*}authors")
    return _announcement(
        metadata,
        version=last.version,
        authors=split_authors(authors) if len(authors) <= AUTHORS_TEXT else (authors,),
        published_at=first.submitted_at if first.version == 1 else None,
        # Other flags may come before it: `AI` is withdrawn, too.
        is_withdrawn="I" in last.source_type,
    )


def _as_arxiv(metadata: xml_fields.Element) -> ParsedAnnouncement:
    """Read `arXiv`, which has names in parts, but no versions.

    `updated` shows that there are at least two versions; 2 then stands for "2 or later". Today's
    server gives the current version's day as `created`. Identifiers are assigned at announcement,
    so a day after the identifier's month is not that of a first version.
    """
    created = xml_fields.moment(xml_fields.text_of(metadata, "{*}created"))
    identifier = identifiers.canonical_arxiv_id(xml_fields.text_of(metadata, "{*}id"))
    month = identifiers.arxiv_order(identifier) // 100_000
    is_of_first = created is not None and created.year * 100 + created.month <= month
    is_first = is_of_first and not xml_fields.text_of(metadata, "{*}updated")
    return _announcement(
        metadata,
        version=1 if is_first else 2,
        authors=_names(metadata),
        published_at=created if is_of_first else None,
    )


def _announcement(
    metadata: xml_fields.Element,
    *,
    version: int,
    authors: tuple[str, ...],
    published_at: datetime | None,
    is_withdrawn: bool = False,
) -> ParsedAnnouncement:
    identifier = identifiers.canonical_arxiv_id(xml_fields.text_of(metadata, "{*}id"))
    title = xml_fields.text_of(metadata, "{*}title")
    if not title:
        raise ValueError(f"{identifier} has no title")
    categories = tuple(xml_fields.text_of(metadata, "{*}categories").split())
    announcement = ParsedAnnouncement(
        key=identifiers.paper_key("arxiv", identifier),
        source="arxiv",
        identifier=identifier,
        version=version,
        announce_type=AnnounceType.NEW if version == 1 else AnnounceType.REPLACE,
        title=title,
        abstract=xml_fields.text_of(metadata, "{*}abstract"),
        authors=authors,
        categories=categories,
        primary_category=categories[0] if categories else None,
        url=identifiers.arxiv_url(identifier),
        license=xml_fields.line_text_of(metadata, "{*}license"),
        doi=xml_fields.line_text_of(metadata, "{*}doi"),
        journal_ref=xml_fields.line_text_of(metadata, "{*}journal-ref"),
        comment=xml_fields.line_text_of(metadata, "{*}comments"),
        is_withdrawn=is_withdrawn,
        published_at=published_at,
    )
    return limit_record(announcement)


def _names(metadata: xml_fields.Element) -> tuple[str, ...]:
    """Return whole names; drop the colon after a collaboration, which arXiv lists as an author."""
    parts = ("{*}forenames", "{*}keyname", "{*}suffix")
    names = (
        " ".join(filter(None, (xml_fields.line_text_of(author, part) for part in parts)))
        for author in metadata.iterfind("{*}authors/{*}author")
    )
    return tuple(name for name in names if any(character.isalpha() for character in name))
