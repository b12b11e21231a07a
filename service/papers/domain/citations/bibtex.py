"""Citations as BibTeX, with the fields of arXiv's own export (https://info.arxiv.org/help/hypertex/bibstyles)."""

from collections.abc import Iterator, Sequence
from typing import Final

from service.papers.domain.citations.citation import Citation, CitedName
from service.papers.domain.citations.tex_escape import escape_tex, verbatim
from service.platform import linear_regex

_MONTHS: Final = "jan feb mar apr may jun jul aug sep oct nov dec"
_NOT_FIRST_CAPITAL = linear_regex.compile(r".\p{Lu}")
# In a list of authors this word separates two of them, also where a name has it.
_AND = linear_regex.compile(r"\band\b", "i")


def write_bibtex(
    citation: Citation,
    key: str = "",
    *,
    tags: Sequence[str] = (),
    note: str = "",
    has_abstract: bool = True,
    most_authors: int = 0,
) -> str:
    """Return one entry, which ends with a line end. `key` replaces the citation's own.

    With `most_authors` a longer list ends with `others`, which BibTeX prints as *et al.*
    """
    kind = "misc" if citation.is_preprint else "article"
    fields = _iterate_fields(citation, most_authors)
    lines = [f"  {name} = {value}" for name, value in fields]
    more = {
        "abstract": citation.abstract if has_abstract else "",
        "keywords": ", ".join(tags),
        "annote": note,
    }
    lines += [f"  {name} = {{{escape_tex(text)}}}" for name, text in more.items() if text]
    inside = ",\n".join(lines)
    return f"@{kind}{{{key or citation.key},\n{inside}\n}}\n"


def _iterate_fields(citation: Citation, most_authors: int) -> Iterator[tuple[str, str]]:
    yield "title", f"{{{_write_title(citation.title)}}}"
    if citation.authors:
        yield "author", f"{{{_write_authors(citation.authors, most_authors)}}}"
    yield "year", f"{{{citation.year}}}"
    if citation.month:
        yield "month", _MONTHS.split()[citation.month - 1]
    if citation.container:
        yield "journal", f"{{{escape_tex(citation.container)}}}"
    if citation.arxiv_id:
        yield "eprint", f"{{{citation.arxiv_id}}}"
        yield "archivePrefix", "{arXiv}"
        if citation.primary_class:
            yield "primaryClass", f"{{{verbatim(citation.primary_class)}}}"
    elif citation.publisher:
        yield "howpublished", f"{{{escape_tex(citation.publisher)}}}"
    if citation.published_in:
        yield "note", f"{{Published in {escape_tex(citation.published_in)}}}"
    if citation.doi:
        yield "doi", f"{{{verbatim(citation.doi)}}}"
    if citation.url:
        yield "url", f"{{{verbatim(citation.url)}}}"


def _write_title(title: str) -> str:
    """Return the title; words with capitals inside are protected from styles that lower them."""
    return " ".join(
        f"{{{escape_tex(word)}}}" if _NOT_FIRST_CAPITAL.search(word) else escape_tex(word)
        for word in title.split()
    )


def _write_authors(authors: Sequence[CitedName], most: int) -> str:
    shown = authors[:most] if most else authors
    names = [_write_name(name) for name in shown]
    return " and ".join([*names, "others"] if len(shown) < len(authors) else names)


def _write_name(name: CitedName) -> str:
    if name.is_group or not name.given:
        return f"{{{escape_tex(name.family)}}}"
    # The suffix is in the middle: `Last, Jr., First`.
    parts = [part for part in (name.family, name.suffix, name.given) if part]
    return ", ".join(
        f"{{{written}}}" if _AND.search(part) or "," in part else written
        for part in parts
        for written in [escape_tex(part)]
    )
