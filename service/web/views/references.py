"""How a paper is cited, found and passed on: the values of its page beside the abstract."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from service.papers.domain.author_remarks import AuthorLink, find_acceptance, find_author_links
from service.papers.domain.citations.bibtex import write_bibtex
from service.papers.domain.citations.citation import cite
from service.papers.domain.citations.meta_tags import list_meta_tags
from service.papers.domain.types import PaperView
from service.presentation.sanitize import safe_url
from service.web.views.labels import pdf_url

# BibTeX on the page ends a longer list with `others`; its file has all.
_MOST_CITED: Final = 50


class ShareLink(NamedTuple):
    """Where a paper can be passed on: the name of the place, and its form filled in."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class References:
    """A paper's meta tags, its BibTeX without abstract, and what its authors and readers link to."""

    meta_tags: list[tuple[str, str]]
    bibtex: str
    accepted: str
    links: list[AuthorLink]
    shares: list[ShareLink]
    page_url: str


def list_references(paper: PaperView, base_url: str) -> References:
    """Return the references of a paper whose page is on the site at `base_url`."""
    citation = cite(paper)
    page_url = f"{base_url.rstrip('/')}/papers/{quote(paper.key, safe=':/')}"
    return References(
        meta_tags=list_meta_tags(citation, page_url, safe_url(pdf_url(paper))),
        bibtex=write_bibtex(citation, has_abstract=False, most_authors=_MOST_CITED),
        accepted=find_acceptance(paper.comment),
        links=find_author_links(paper),
        shares=list(_iterate_shares(citation.title, page_url)),
        page_url=page_url,
    )


def _iterate_shares(title: str, url: str) -> Iterator[ShareLink]:
    """Yield plain links: nothing of these places is loaded, and they learn of a visit by a click alone."""
    # Mail programs read `+` as a plus sign (RFC 6068, section 5).
    mail = urlencode({"subject": title, "body": url}, quote_via=quote)
    yield ShareLink("Email", f"mailto:?{mail}")
    for name, address, values in (
        ("Bluesky", "https://bsky.app/intent/compose", {"text": f"{title} {url}"}),
        ("LinkedIn", "https://www.linkedin.com/sharing/share-offsite/", {"url": url}),
        ("Reddit", "https://www.reddit.com/submit", {"title": title, "url": url}),
        ("Hacker News", "https://news.ycombinator.com/submitlink", {"t": title, "u": url}),
        ("X", "https://x.com/intent/post", {"text": title, "url": url}),
    ):
        yield ShareLink(name, f"{address}?{urlencode(values)}")
