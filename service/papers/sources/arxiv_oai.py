"""arXiv's OAI-PMH interface: everything that changed since a day, in pages.

Protocol: https://www.openarchives.org/OAI/openarchivesprotocol.html; what arXiv does with it:
https://info.arxiv.org/help/oa/index.html. A record's datestamp is that of its last change of any
kind, administrative ones too; it says nothing about submission or announcement.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from service.papers.domain.author_names import split_authors
from service.papers.domain.identifiers import (
    IdentifierError,
    arxiv_order,
    arxiv_url,
    canonical_arxiv_id,
    paper_key,
)
from service.papers.domain.types import AnnounceType, BadEntry, ParsedAnnouncement
from service.papers.sources.base import FetchState, SourceUnavailable, SourceUnreadable
from service.papers.sources.http_fetch import Fetcher
from service.papers.sources.xml_fields import (
    Element,
    line_of,
    line_text_of,
    local_name,
    moment,
    one_line,
    read_each,
    read_xml,
    text_of,
)

_ACCEPT: Final = "text/xml, application/xml;q=0.9, */*;q=0.5"
_RESTARTS: Final = 3
_NOTHING: Final = "noRecordsMatch"
_EXPIRED: Final = "badResumptionToken"
# The groups that are archives themselves; every other archive belongs to physics.
_OWN_GROUPS: Final = frozenset({"cs", "econ", "eess", "math", "q-bio", "q-fin", "stat"})
_VERSION = re.compile(r"v?([1-9]\d{0,3})", re.ASCII)


class ResumptionTokenExpired(SourceUnavailable):
    """The resumption token is no longer good; the list has to be asked for from its start."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a paper. `source_type` holds letters, of which `I` means withdrawn."""

    version: int
    submitted_at: datetime
    source_type: str = ""


@dataclass(frozen=True, slots=True)
class OaiRecord:
    """One paper as it is now; a deleted one has no announcement.

    `identifier` is canonical where it is arXiv's, and otherwise what the header says. `versions`
    are in order, and empty in formats that do not tell them.
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

    `response_date` is what the next harvest begins from. `error` is `noRecordsMatch` or None:
    nothing changed is a normal answer.
    """

    records: tuple[OaiRecord, ...] = ()
    bad_entries: tuple[BadEntry, ...] = ()
    resumption_token: str | None = None
    response_date: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ArxivOai:
    """Lists of changed papers; every page is one request through the fetcher's gate."""

    oai_url: str
    fetcher: Fetcher

    def harvest(
        self,
        since: date,
        set_spec: str | None = None,
        prefix: str = "arXivRaw",
        on_page: Callable[[OaiPage], None] | None = None,
    ) -> Iterator[OaiRecord]:
        """Every record that changed on `since` (a UTC day) or later.

        There is no end date on purpose: arXiv asks for that. Tokens expire every midnight; the
        list then begins again, so records may come twice and callers upsert. Raises TokenExpired
        after three such restarts, and whatever a fetch raises.
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
        asked: set[str] = set()
        arguments = first
        while True:
            page = self._page(arguments)
            if on_page is not None:
                on_page(page)
            yield from page.records
            token = page.resumption_token
            if token is None:
                return
            if token in asked:
                raise SourceUnreadable(
                    f"arXiv's list goes in circles: token {one_line(token)[:80]}"
                )
            asked.add(token)
            # A token stands for all other arguments and must be alone (protocol, 3.5).
            arguments = {"resumptionToken": token}

    def _page(self, arguments: dict[str, str]) -> OaiPage:
        fetched = self.fetcher.fetch(
            self.oai_url,
            accept=_ACCEPT,
            state=FetchState(),
            params={"verb": "ListRecords"} | arguments,
        )
        return parse_oai(fetched.payload or b"")


def set_of(category: str) -> str:
    """The set of a category or archive: `cs.AI` is `cs:cs:AI`, `hep-th` is `physics:hep-th`."""
    archive, _, subject = category.partition(".")
    group = archive if archive in _OWN_GROUPS else "physics"
    return ":".join((group, archive, subject) if subject else (group, archive))


def parse_oai(payload: bytes) -> OaiPage:
    """Read one answer to ListRecords or GetRecord in the formats `arXiv` and `arXivRaw`.

    A record that cannot be read becomes a BadEntry. No format says how a paper was announced, so
    the announce type is told by the version alone: the first is NEW, a later one REPLACE, and a
    cross-list is never seen. In `arXiv` no version is told either: see `_as_arxiv`. Raises
    TokenExpired, and SourceUnreadable for every other error and for anything not OAI-PMH.
    """
    root = read_xml(payload, "OAI-PMH")
    if local_name(root) != "OAI-PMH":
        raise SourceUnreadable(
            f"not OAI-PMH: the document is <{local_name(root)}>, {line_of(root)}"
        )
    response_date = moment(text_of(root, "{*}responseDate"))
    if (error := _error(root)) is not None:
        return OaiPage(response_date=response_date, error=error)
    body = _body(root)
    records, bad = read_each(body.iterfind("{*}record"), _record, line_of)
    token = text_of(body, "{*}resumptionToken")
    return OaiPage(records, bad, token or None, response_date)


def _error(root: Element) -> str | None:
    """`noRecordsMatch` where that is all that is wrong; raises for every other code."""
    errors = {str(e.get("code", "")): e for e in root.iterfind("{*}error")}
    for code, element in errors.items():
        said = one_line("".join(element.itertext()))
        message = f"arXiv answered {code or 'an error'}" + (f": {said}" if said else "")
        message = f"{message}, {line_of(element)}"
        if code == _EXPIRED:
            raise ResumptionTokenExpired(message)
        if code != _NOTHING:
            raise SourceUnreadable(message)
    return _NOTHING if errors else None


def _body(root: Element) -> Element:
    for name in ("ListRecords", "GetRecord"):
        if (body := root.find(f"{{*}}{name}")) is not None:
            return body
    others = [local_name(child) for child in root][2:]
    held = f"<{others[0]}>" if others else "nothing"
    raise SourceUnreadable(f"no list of records: the answer holds {held}, {line_of(root)}")


def _record(record: Element) -> OaiRecord:
    """One record. Raises ValueError with the reason where it cannot be one."""
    header = record.find("{*}header")
    if header is None:
        raise ValueError("has no header")
    identifier = _identifier(text_of(header, "{*}identifier"))
    datestamp = date.fromisoformat(text_of(header, "{*}datestamp")[:10])
    sets = tuple(str(s.text or "").strip() for s in header.iterfind("{*}setSpec"))
    if header.get("status") == "deleted":
        return OaiRecord(identifier, datestamp, sets, is_deleted=True)
    metadata = next(iter(record.iterfind("{*}metadata/*")), None)
    name = "nothing" if metadata is None else local_name(metadata)
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
        return canonical_arxiv_id(text)
    except IdentifierError:
        return text


def _versions(metadata: Element, identifier: str) -> tuple[Version, ...]:
    versions = sorted(
        (_version(element) for element in metadata.iterfind("{*}version")),
        key=lambda version: version.version,
    )
    if not versions:
        raise ValueError(f"{identifier} names no version")
    return tuple(versions)


def _version(element: Element) -> Version:
    number = _VERSION.fullmatch(element.get("version", ""))
    if number is None:
        raise ValueError(f"has a version {element.get('version', '')[:20]!r}")
    # RFC 2822; a zone written "-0000" comes back naive, and it means UTC.
    when = parsedate_to_datetime(text_of(element, "{*}date"))
    submitted_at = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    return Version(int(number[1]), submitted_at, text_of(element, "{*}source_type"))


def _as_raw(metadata: Element, versions: tuple[Version, ...]) -> ParsedAnnouncement:
    """`arXivRaw`: all versions, and the authors as one string."""
    first, last = versions[0], versions[-1]
    return _announcement(
        metadata,
        version=last.version,
        authors=split_authors(line_text_of(metadata, "{*}authors")),
        published_at=first.submitted_at if first.version == 1 else None,
        # Flags may stand before it: `AI` is withdrawn, too.
        is_withdrawn="I" in last.source_type,
    )


def _as_arxiv(metadata: Element) -> ParsedAnnouncement:
    """`arXiv`: names in parts, but no versions.

    `updated` shows that there is a second version at least; 2 then stands for "2 or later". Today's
    server gives the current version's day as `created`. An identifier is given at announcement, so
    a day after the identifier's month is no first version's.
    """
    created = moment(text_of(metadata, "{*}created"))
    identifier = canonical_arxiv_id(text_of(metadata, "{*}id"))
    month = arxiv_order(identifier) // 100_000
    is_of_first = created is not None and created.year * 100 + created.month <= month
    is_first = is_of_first and not text_of(metadata, "{*}updated")
    return _announcement(
        metadata,
        version=1 if is_first else 2,
        authors=_names(metadata),
        published_at=created if is_of_first else None,
    )


def _announcement(
    metadata: Element,
    *,
    version: int,
    authors: tuple[str, ...],
    published_at: datetime | None,
    is_withdrawn: bool = False,
) -> ParsedAnnouncement:
    identifier = canonical_arxiv_id(text_of(metadata, "{*}id"))
    title = text_of(metadata, "{*}title")
    if not title:
        raise ValueError(f"{identifier} has no title")
    categories = tuple(text_of(metadata, "{*}categories").split())
    return ParsedAnnouncement(
        key=paper_key("arxiv", identifier),
        source="arxiv",
        identifier=identifier,
        version=version,
        announce_type=AnnounceType.NEW if version == 1 else AnnounceType.REPLACE,
        title=title,
        abstract=text_of(metadata, "{*}abstract"),
        authors=authors,
        categories=categories,
        primary_category=categories[0] if categories else None,
        url=arxiv_url(identifier),
        license=line_text_of(metadata, "{*}license"),
        doi=line_text_of(metadata, "{*}doi"),
        journal_ref=line_text_of(metadata, "{*}journal-ref"),
        comment=line_text_of(metadata, "{*}comments"),
        is_withdrawn=is_withdrawn,
        published_at=published_at,
    )


def _names(metadata: Element) -> tuple[str, ...]:
    """Whole names; arXiv makes an author of the colon after a collaboration, and it is none."""
    parts = ("{*}forenames", "{*}keyname", "{*}suffix")
    names = (
        " ".join(filter(None, (line_text_of(author, part) for part in parts)))
        for author in metadata.iterfind("{*}authors/{*}author")
    )
    return tuple(name for name in names if any(character.isalpha() for character in name))
