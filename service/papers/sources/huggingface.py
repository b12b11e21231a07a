"""Hugging Face's daily papers: the papers submitted by its users, with upvotes and comments.

`GET /api/daily_papers`. The shape follows the published OpenAPI description; fields came and went
over the years, so all but a paper's identifier and title may be missing.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final
from urllib.parse import urlsplit

from service.papers.domain.identifiers import arxiv_url, canonical_arxiv_id, paper_key
from service.papers.domain.record_limits import limit_record
from service.papers.domain.types import AnnounceType, ParsedAnnouncement, ParsedBatch, Signals
from service.papers.sources import base
from service.papers.sources.http_fetch import Fetcher
from service.papers.sources.json_fields import parse_json
from service.papers.sources.xml_fields import date_of, parse_each

# The largest page the endpoint gives. A weekday has some 25 papers, and one has had 92.
_LIMIT: Final = 100
_MOST_PAGES: Final = 10
# All pages together may take as long as this many answers.
_ANSWERS_TIME: Final = 3
_ACCEPT: Final = "application/json"
_Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class HuggingFace:
    """One list per day without categories; no edition waits for it."""

    base_url: str
    fetcher: Fetcher
    name: str = "huggingface"
    gates_editions: bool = False
    keeps_changing: bool = True
    has_versions: bool = False

    def fetch(self, category: str, on: date | None, state: base.FetchState) -> base.Fetched:  # noqa: ARG002  # there is one list for all
        """Fetch the list of one UTC day, all its pages; without a day, the latest list.

        A page names the next one (`Link: rel=next`), which is requested only at the same host.
        """
        params = {"limit": str(_LIMIT)} | ({"date": on.isoformat()} if on else {})
        address = f"{self.base_url.rstrip('/')}/api/daily_papers"
        first = self.fetcher.fetch(address, accept=_ACCEPT, state=state, params=params)
        if first.payload is None or not first.next_url:
            return first
        entries, is_cut = self._follow(first.payload, first)
        payload = json.dumps({"data": entries, "is_cut": is_cut}).encode()
        # The first page's ETag says nothing of the others.
        return replace(first, payload=payload, etag="", next_url="")

    def _follow(self, payload: bytes, page: base.Fetched) -> tuple[list[object], bool]:
        """Return the entries of all pages, and whether there are more than could be read.

        The list moves while it is read: an entry that an earlier page has is left out.
        """
        entries = _entries(payload)
        known = {_identity(entry) for entry in entries}
        seen = {page.url}
        end = time.monotonic() + _ANSWERS_TIME * self.fetcher.longest_seconds
        while page.next_url:
            is_allowed = _origin(page.next_url) == _origin(page.url) and page.next_url not in seen
            if not is_allowed or len(seen) >= _MOST_PAGES:
                return entries, True
            if time.monotonic() > end:
                raise base.SourceUnavailable(f"{self.name}: its pages did not end in time")
            seen.add(page.next_url)
            page = self.fetcher.fetch(page.next_url, accept=_ACCEPT, state=base.FetchState())
            found = _entries(page.payload or b"")
            if not found:
                break
            entries += [entry for entry in found if _identity(entry) not in known]
            known |= {_identity(entry) for entry in found}
        return entries, False

    def expect(self, category: str) -> base.Expectation | None:  # noqa: ARG002  # the protocol's form
        """Return None: Hugging Face states no counts."""
        return None

    def parse(self, payload: bytes) -> ParsedBatch:
        return parse_daily_papers(payload)


def build(name: str, settings: base.SourceSettings, fetcher: Fetcher) -> HuggingFace:
    """Return the source as configured."""
    return HuggingFace(settings.huggingface_url, fetcher, name)


def parse_daily_papers(payload: bytes) -> ParsedBatch:
    """Parse one day's list, in its order; an empty list is a day without papers.

    A page that is exactly full, and names no next one, counts as cut. An entry that is no object, or names no arXiv paper or no title, becomes a BadEntry. Raises
    SourceUnreadable for anything but a list, such as an error's JSON or a page of HTML.
    """
    answer = parse_json(payload, "a list of papers")
    entries = _listed(answer)
    known = answer.get("is_cut") if isinstance(answer, dict) else None
    is_cut = len(entries) == _LIMIT if known is None else bool(known)
    return ParsedBatch(*parse_each(entries, _announcement), is_truncated=is_cut)


def _entries(payload: bytes) -> list[object]:
    return _listed(parse_json(payload, "a list of papers"))


def _listed(answer: object) -> list[object]:
    # Archives of the endpoint wrap its list together with the date.
    if isinstance(answer, dict) and isinstance(answer.get("data"), list):
        answer = answer["data"]
    if not isinstance(answer, list):
        text = answer.get("error", "") if isinstance(answer, dict) else ""
        hint = f", it says {str(text)[:120]!r}" if text else ""
        kind = type(answer).__name__
        raise base.SourceUnreadable(f"not a list of papers: the answer is a {kind}{hint}, line 1")
    return answer


def _identity(entry: object) -> str:
    named = _text(_object(entry, "paper"), "id") if isinstance(entry, dict) else ""
    return named or repr(entry)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _announcement(entry: object) -> ParsedAnnouncement:
    """Return one entry's announcement. Raises ValueError with the reason if it is unreadable."""
    if not isinstance(entry, dict):
        raise ValueError(f"is a {type(entry).__name__}, not an object")  # noqa: TRY004  # a fault of the entry, not of the caller
    paper = _object(entry, "paper")
    identifier = canonical_arxiv_id(_text(paper, "id"))
    title = _text(paper, "title") or _text(entry, "title")
    if not title:
        raise ValueError(f"{identifier} has no title")
    announcement = ParsedAnnouncement(
        key=paper_key("huggingface", identifier),
        source="huggingface",
        identifier=identifier,
        version=1,
        announce_type=AnnounceType.LISTED,
        title=title,
        abstract=_text(paper, "summary") or _text(entry, "summary"),
        authors=_authors(paper.get("authors")),
        categories=(),
        url=arxiv_url(identifier),
        is_withdrawn=bool(paper.get("withdrawnAt")),
        published_at=date_of(_text(paper, "publishedAt") or _text(entry, "publishedAt")),
        signals=_signals(entry, paper),
    )
    return limit_record(announcement)


def _signals(entry: _Fields, paper: _Fields) -> Signals:
    repository = _text(paper, "githubRepo")
    keywords = paper.get("ai_keywords")
    return Signals(
        upvotes=_count(paper, "upvotes") or 0,
        comments=_count(entry, "numComments") or 0,
        github_stars=_count(paper, "githubStars"),
        # It becomes a link in a message, so only a web address is accepted.
        github_url=repository if repository.startswith(("https://", "http://")) else "",
        summary=_text(paper, "ai_summary"),
        keywords=_strings(keywords),
    )


def _authors(value: object) -> tuple[str, ...]:
    """Return authors' names, which are objects with a name or, in old answers, plain strings."""
    people = value if isinstance(value, list) else []
    return _strings(
        [person.get("name") if isinstance(person, dict) else person for person in people]
    )


def _object(fields: _Fields, name: str) -> _Fields:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _text(fields: _Fields, name: str) -> str:
    value = fields.get(name)
    return value.strip() if isinstance(value, str) else ""


def _strings(value: object) -> tuple[str, ...]:
    texts = [x.strip() for x in value if isinstance(x, str)] if isinstance(value, list) else []
    return tuple(text for text in texts if text)


def _count(fields: _Fields, name: str) -> int | None:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
