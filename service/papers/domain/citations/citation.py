"""What a citation of a paper says, before it is written in a format.

A preprint is cited as a preprint, with the DOI of the published article where its source knows one,
else with its own: arXiv's are 10.48550/arXiv.… (https://info.arxiv.org/help/doi.html).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from service.papers.domain.author_names import PARTICLES, is_group
from service.papers.domain.identifiers import IdentifierError, canonical_arxiv_id, normalized_doi
from service.papers.domain.latex.readable import fold
from service.papers.domain.source_names import SOURCES
from service.papers.domain.types import PaperView
from service.platform import linear_regex

_PARTICLES: Final = frozenset(PARTICLES.split())
_SUFFIX = linear_regex.compile(r"(?:Jr|Sr)\.?|I{2,3}|IV", "i")
_WORD = linear_regex.compile(r"[a-z0-9]+", "a")
_NOT_IN_KEYS = linear_regex.compile(r"[^a-z0-9]", "a")
# Words that say nothing about a paper: the key has the first other word of its title.
_SMALL_WORDS: Final = """a an and are as at be beyond by can do does for from how in into is it its not of on or
    our s t that the their to toward towards under using via we what when where which why with without"""
_TITLES: Final = {source.namespace: source.title for source in SOURCES if not source.is_listing}


class CitedName(NamedTuple):
    """An author: `family`, `given` and `suffix`, or only `family` for a group and a lone name."""

    family: str
    given: str = ""
    suffix: str = ""
    is_group: bool = False

    @property
    def inverted(self) -> str:
        """The name as lists of references sort it: `van der Maaten, Laurens`."""
        return ", ".join(part for part in (self.family, self.given, self.suffix) if part)


@dataclass(frozen=True, slots=True)
class Citation:
    """A paper as reference managers know it. `month` and `day` are 0 where they are not known.

    `container` is the journal of an article and empty for a preprint, `publisher` the preprint's
    server and empty for an article. `arxiv_id` has no version; `published_in` is the free text of a
    preprint's source about its article. `key` is not unique: see `unique_keys`.
    """

    key: str
    paper_key: str
    title: str
    authors: tuple[CitedName, ...]
    year: int
    month: int
    day: int
    doi: str
    url: str
    abstract: str
    arxiv_id: str = ""
    primary_class: str = ""
    container: str = ""
    publisher: str = ""
    published_in: str = ""

    @property
    def is_preprint(self) -> bool:
        return bool(self.publisher)

    def write_date(self, separator: str) -> str:
        """Return the date as far as it is known, like `2017-06`."""
        parts = [f"{self.year:04}", f"{self.month:02}", f"{self.day:02}"]
        known = 1 if not self.month else 2 if not self.day else 3
        return separator.join(parts[:known])


def cite(paper: PaperView) -> Citation:
    """Return the citation of a paper."""
    namespace, _, identifier = paper.key.partition(":")
    is_preprint = namespace in _TITLES
    arxiv_id = identifier if namespace == "arxiv" else ""
    year, month, day = _find_date(paper, arxiv_id)
    authors = tuple(split_name(name) for name in paper.authors if name.strip())
    return Citation(
        key=_make_key(paper, authors, year),
        paper_key=paper.key,
        title=" ".join(paper.title.split()),
        authors=authors,
        year=year,
        month=month,
        day=day,
        doi=paper.doi or _own_doi(namespace, identifier),
        # Readers of files make links of whatever stands here.
        url=paper.url if paper.url.startswith(("https://", "http://")) else "",
        abstract=" ".join(paper.abstract.split()),
        arxiv_id=arxiv_id,
        primary_class=paper.primary_category if arxiv_id else "",
        container="" if is_preprint else " ".join(paper.journal_ref.split()),
        publisher=_TITLES.get(namespace, ""),
        published_in=" ".join(paper.journal_ref.split()) if is_preprint else "",
    )


def split_name(name: str) -> CitedName:
    """Return an author's name in parts, by BibTeX's own rule: a particle in lower case begins the family name.

    `Luc Van Gool` is Gool, Luc Van, as BibTeX reads it: names alone cannot tell a particle in capitals
    from the middle name of `Nguyen Van An`.
    """
    written = " ".join(name.split())
    if is_group(written.lower().split()):
        return CitedName(written, is_group=True)
    family, comma, given = (part.strip() for part in written.partition(","))
    if comma and given and not _SUFFIX.fullmatch(given):
        return CitedName(family, given)
    words = written.replace(",", " ").split()
    suffix = words.pop() if len(words) > 2 and _SUFFIX.fullmatch(words[-1]) else ""
    if len(words) < 2:
        return CitedName(written)
    start = next((at for at, word in enumerate(words[1:-1], 1) if word in _PARTICLES), -1)
    return CitedName(" ".join(words[start:]), " ".join(words[:start]), suffix)


def unique_keys(citations: Iterable[Citation]) -> list[str]:
    """Return a distinct key for each citation, in their order; the first of equal ones keeps its key.

    The others get their identifier, which does not depend on what else is cited: given the oldest
    first, a paper that is added later changes no key.
    """
    taken: set[str] = set()
    keys = []
    for citation in citations:
        key = citation.key
        if key in taken:
            key = f"{key}-{_NOT_IN_KEYS.sub('-', citation.paper_key.lower()).strip('-')}"
        while key in taken:
            key += "x"
        taken.add(key)
        keys.append(key)
    return keys


def _make_key(paper: PaperView, authors: Sequence[CitedName], year: int) -> str:
    """Return `vaswani2017attention`: family name, year, and the title's first telling word."""
    family = _NOT_IN_KEYS.sub("", fold(authors[0].family)) if authors else ""
    words = [match[0] for match in _WORD.finditer(fold(paper.title))]
    small = _SMALL_WORDS.split()
    telling = next((word for word in words if word not in small and len(word) > 1), "")
    # Names and titles in other scripts leave nothing for a key.
    return f"{family or 'paper'}{year}{telling}"


def _find_date(paper: PaperView, arxiv_id: str) -> tuple[int, int, int]:
    """Return year, month and day: arXiv's identifiers tell the month, older papers come here late."""
    on = paper.announced_on
    digits = arxiv_id.rpartition("/")[2]
    if not digits[:4].isdigit() or len(digits) < 4:
        return on.year, on.month, on.day
    year, month = int(digits[:2]), int(digits[2:4])
    year += 1900 if year > 90 else 2000
    return (year, month, on.day) if (on.year, on.month) == (year, month) else (year, month, 0)


def _own_doi(namespace: str, identifier: str) -> str:
    try:
        if namespace == "arxiv":
            return f"10.48550/arXiv.{canonical_arxiv_id(identifier)}"
        return normalized_doi(identifier)
    except IdentifierError:
        return ""
