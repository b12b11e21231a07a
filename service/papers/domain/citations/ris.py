"""Citations as RIS, the tagged lines that Zotero, EndNote and Mendeley import.

Format: https://web.archive.org/web/20120526103719/http://refman.com/support/risformat_intro.asp. A value
is one line, so that no text can begin a tag of its own.
"""

from collections.abc import Iterator, Sequence

from service.papers.domain.citations.citation import Citation


def write_ris(
    citation: Citation, key: str = "", *, tags: Sequence[str] = (), note: str = ""
) -> str:
    """Return one record with CRLF line ends. `key` replaces the citation's own."""
    lines = _iterate_lines(citation, key or citation.key, tags, note)
    return "".join(
        f"{tag}  - {value}\r\n"
        for tag, text in lines
        for value in [" ".join(text.split())]
        if value or tag == "ER"
    )


def _iterate_lines(
    citation: Citation, key: str, tags: Sequence[str], note: str
) -> Iterator[tuple[str, str]]:
    # There is no type for preprints; UNPB is unpublished work.
    yield "TY", "UNPB" if citation.is_preprint else "JOUR"
    yield "ID", key
    yield "TI", citation.title
    for name in citation.authors:
        yield "AU", name.inverted
    yield "PY", str(citation.year)
    # Year/month/day/other: missing parts are left empty.
    yield (
        "DA",
        f"{citation.write_date('/')}{'/' if citation.day else '//'}" if citation.month else "",
    )
    yield "T2", citation.container
    yield "PB", citation.publisher
    yield "AN", f"arXiv:{citation.arxiv_id}" if citation.arxiv_id else ""
    yield "DO", citation.doi
    yield "UR", citation.url
    yield "AB", citation.abstract
    for tag in tags:
        yield "KW", tag
    yield "N1", note
    yield "N1", f"Published in {citation.published_in}" if citation.published_in else ""
    yield "ER", ""
