"""The `citation_*` tags of a page (Highwire Press), by which Zotero and Google Scholar read a paper.

Names: https://scholar.google.com/intl/en/scholar/inclusion.html, section "Indexing guidelines".
"""

from collections.abc import Iterator
from typing import Final

from service.papers.domain.citations.citation import Citation

# A paper of a large collaboration has 3,000 authors; a page has a limit.
MOST_AUTHORS: Final = 100


def list_meta_tags(citation: Citation, page_url: str, pdf_url: str) -> list[tuple[str, str]]:
    """Return the names and contents of the tags, in the order in which a page has them."""
    return [(name, text) for name, text in _iterate_tags(citation, page_url, pdf_url) if text]


def _iterate_tags(citation: Citation, page_url: str, pdf_url: str) -> Iterator[tuple[str, str]]:
    yield "citation_title", citation.title
    for name in citation.authors[:MOST_AUTHORS]:
        yield "citation_author", name.inverted
    yield "citation_publication_date", citation.write_date("/")
    yield "citation_journal_title", citation.container
    yield "citation_publisher", citation.publisher
    yield "citation_doi", citation.doi
    yield "citation_arxiv_id", citation.arxiv_id
    yield "citation_pdf_url", pdf_url
    yield "citation_abstract_html_url", page_url
    yield "citation_abstract", citation.abstract
