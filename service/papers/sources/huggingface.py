"""Hugging Face's daily papers: the papers submitted by its users, with upvotes and comments.

`GET /api/daily_papers`. The shape follows the published OpenAPI description; fields came and went
over the years, so all but a paper's identifier and title may be missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from service.papers.domain.identifiers import arxiv_url, canonical_arxiv_id, paper_key
from service.papers.domain.record_limits import limit_record
from service.papers.domain.types import AnnounceType, ParsedAnnouncement, ParsedBatch, Signals
from service.papers.sources import base
from service.papers.sources.http_fetch import Fetcher
from service.papers.sources.json_fields import parse_json
from service.papers.sources.xml_fields import date_of, parse_each

# The largest page the endpoint gives; a weekday has some 25 papers.
_LIMIT: Final = "100"
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
        """Fetch the list of one UTC day; without a day, the latest list."""
        params = {"limit": _LIMIT} | ({"date": on.isoformat()} if on else {})
        address = f"{self.base_url.rstrip('/')}/api/daily_papers"
        return self.fetcher.fetch(address, accept="application/json", state=state, params=params)

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

    An entry that is no object, or names no arXiv paper or no title, becomes a BadEntry. Raises
    SourceUnreadable for anything but a list, such as an error's JSON or a page of HTML.
    """
    return ParsedBatch(*parse_each(_entries(payload), _announcement))


def _entries(payload: bytes) -> list[object]:
    answer = parse_json(payload, "a list of papers")
    # Archives of the endpoint wrap its list together with the date.
    if isinstance(answer, dict) and isinstance(answer.get("data"), list):
        answer = answer["data"]
    if not isinstance(answer, list):
        text = answer.get("error", "") if isinstance(answer, dict) else ""
        hint = f", it says {str(text)[:120]!r}" if text else ""
        kind = type(answer).__name__
        raise base.SourceUnreadable(f"not a list of papers: the answer is a {kind}{hint}, line 1")
    return answer


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
