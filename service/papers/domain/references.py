"""References of a reader's own file: what each names, and the names that identify a paper."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from service.papers.domain.identifiers import IdentifierError, canonical_arxiv_id, normalized_doi
from service.papers.domain.latex.readable import fold, to_readable_line
from service.platform import linear_regex
from service.platform.one_line import normalise_line

MOST_BYTES: Final = 2 * 1024 * 1024
MOST_ENTRIES: Final = 2_000
MOST_ENTRY_CHARACTERS: Final = 200_000
"""Far above any real entry, and small enough that no parser is slow over it."""
_LONGEST_TITLE, _LONGEST_ABSTRACT, _LONGEST_NAME, _LONGEST_LABEL = 500, 10_000, 200, 120
_MOST_AUTHORS, _MOST_KEYWORDS, _MOST_CATEGORIES = 30, 30, 10
_NOBODY: Final = frozenset({"", "others", "et al", "et al."})

# An address of a paper on arXiv is shorter, and so is a bare identifier.
_LONGEST_BARE: Final = 100
_ARXIV = linear_regex.compile(
    r"(?:\barxiv(?:\.org/(?:abs|pdf|html|format|ps)/|\.|:\s*|\s+)|\babs/)"
    r"([a-z-]+(?:\.[a-z-]+)?/\d{7}|\d{4}\.\d{4,5})",
    "i",
)
_DOI = linear_regex.compile(r"\b10\.\d{4,9}/[^\s\"<>{}|\\^`]+", "a")
_CATEGORY = linear_regex.compile(r"[a-z]+(?:-[a-z]+)?(?:\.[A-Za-z-]{2,})?", "a")


class ReferenceFileError(ValueError):
    """The whole file cannot be read; the message is one line and says what to do."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One entry: `place` counts entries from 1, `names` are `arxiv:…` and `doi:…`.

    `title` and `authors` are readable text, `abstract` is as written, at most 10,000 characters.
    `label` is what to call the entry: its title, or else what it is named by. Never empty.
    """

    place: int
    label: str
    title: str = ""
    abstract: str = ""
    authors: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An entry that could not be read: its place, the line where it begins (from 1), and why."""

    place: int
    line: int
    why: str

    def __str__(self) -> str:
        return f"Entry {self.place}, line {self.line}: {self.why}"


@dataclass(frozen=True, slots=True)
class ReferenceFile:
    """What was read of a file; every entry is in one of both lists."""

    form: str
    references: tuple[Reference, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    note: str = ""

    @property
    def entry_count(self) -> int:
        """How many entries the file has."""
        return len(self.references) + len(self.unreadable)


@dataclass(frozen=True, slots=True)
class RawReference:
    """The texts of an entry as written. `places` may hold identifiers: a DOI, an address, a note."""

    title: str = ""
    abstract: str = ""
    authors: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


def make_reference(place: int, line: int, raw: RawReference) -> Reference | Unreadable:
    """Return the entry cleaned and cut, or why it is of no use."""
    title = to_readable_line(raw.title[:_LONGEST_TITLE].replace("{", "").replace("}", ""))
    names = find_names(raw.places)
    written = next((text for text in map(normalise_line, raw.places) if text), "")
    label = title or next(iter(names), "") or written
    if not label:
        return Unreadable(place, line, "it has no title, DOI, arXiv id or address; add one")
    return Reference(
        place,
        label[:_LONGEST_LABEL],
        title,
        raw.abstract[:_LONGEST_ABSTRACT],
        tuple(_iterate_authors(raw.authors)),
        names,
        tuple(_iterate_categories(raw.categories)),
        tuple(normalise_line(word)[:_LONGEST_NAME] for word in raw.keywords[:_MOST_KEYWORDS]),
    )


def find_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the paper that these texts hold, `arxiv:…` before `doi:…`, each once."""
    arxiv: dict[str, None] = {}
    dois: dict[str, None] = {}
    for text in (text[:2_000].strip() for text in texts):
        lowered = text.lower()
        # Cheap tests first: a file has thousands of notes, volumes and journals.
        if "." in text or "/" in text:
            found = [text] if len(text) <= _LONGEST_BARE else []
            if "arxiv" in lowered or "abs/" in lowered:
                found += _ARXIV.findall(text)
            arxiv |= dict.fromkeys(f"arxiv:{name}" for name in _iterate_arxiv_ids(found))
        for doi in _DOI.findall(text) if "10." in text and "/" in text else ():
            with suppress(IdentifierError):
                dois[f"doi:{normalized_doi(doi.rstrip('.,;)'))}"] = None
    own = [doi for doi in dois if not doi.startswith("doi:10.48550/arxiv.")]
    return (*arxiv, *own)


def _iterate_arxiv_ids(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        if text[:1].isdigit() or "/" in text or ":" in text:
            with suppress(IdentifierError):
                yield canonical_arxiv_id(text)


def title_key(title: str) -> str:
    """Return a title for comparing: letters and digits alone, folded; empty for none."""
    return "".join(filter(str.isalnum, fold(to_readable_line(title))))


def _iterate_authors(names: Sequence[str]) -> Iterator[str]:
    for name in names[:_MOST_AUTHORS]:
        if len(name) > _LONGEST_NAME or name.strip().lower() in _NOBODY:
            continue
        readable = name if name.isascii() and "\\" not in name else to_readable_line(name)
        family, comma, given = normalise_line(readable).partition(",")
        yield " ".join((f"{given} {family}" if comma else family).split())


def _iterate_categories(texts: Iterable[str]) -> Iterator[str]:
    words = (word.strip("[],;") for text in texts for word in text[:_LONGEST_NAME].split())
    known = dict.fromkeys(word for word in words if _CATEGORY.fullmatch(word))
    yield from [*known][:_MOST_CATEGORIES]
