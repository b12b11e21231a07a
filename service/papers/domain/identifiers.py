"""Canonical identifiers, versions, keys and DOIs of papers.

One paper has one key in every spelling: `arXiv:math.CA/0611800v2 [math.CA]`,
`oai:arXiv.org:math/0611800v1` and `https://arxiv.org/pdf/math/0611800` are `arxiv:math/0611800`.
Source of the grammar: https://info.arxiv.org/help/arxiv_identifier.html
"""

from typing import Final

from service.papers.domain.source_names import SOURCES
from service.platform import linear_regex

# Before 2007-04 an identifier was archive/YYMMNNN; these are all archives that assigned any.
_OLD_ARCHIVES: Final = """acc-phys adap-org alg-geom ao-sci astro-ph atom-ph bayes-an chao-dyn chem-ph cmp-lg comp-gas
    cond-mat cs dg-ga funct-an gr-qc hep-ex hep-lat hep-ph hep-th math math-ph mtrl-th nlin nucl-ex
    nucl-th patt-sol physics plasm-ph q-alg q-bio quant-ph solv-int supr-con"""
# The prefix of a source's keys: Hugging Face lists arXiv's papers, so the two share one.
_NAMESPACES: Final = {source.name: source.namespace for source in SOURCES}

_WRAPPING = linear_regex.compile(
    r"\A(?:"
    r"(?:https?://)?(?:[a-z0-9-]+\.)*arxiv\.org/(?:abs|pdf|html|format|src|e-print|ps|list)/"
    r"|(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/papers/"
    r"|oai:arxiv\.org:"
    r"|(?:(?:https?://)?(?:dx\.|www\.)?doi\.org/|doi:\s*)?10\.48550/arxiv\."
    r"|arxiv:\s*"
    r")",
    "i",
)
# The patterns below are slow over long texts, and no identifier is one. Each identifier has digits, which
# most texts for `like:` lack.
_LONGEST: Final = 2_000
_DIGITS: Final = frozenset("0123456789")
# A URL's query and fragment, the file ending of a PDF link, and the class in `… [cs.CL]`.
_TRAILING = linear_regex.compile(r"(?:/?(?:[?#].*)?|\s*\[[\w.-]+\])\Z")
_NEW_STYLE = linear_regex.compile(r"(\d\d)(\d\d)\.(\d{4,5})(?:v([1-9]\d{0,3}))?", "a")
_OLD_STYLE = linear_regex.compile(
    r"([a-z]+(?:-[a-z]+)?)(?:\.[a-z-]{2,12})?/(\d\d)(\d\d)(\d{3})(?:v([1-9]\d{0,3}))?", "ai"
)
_DOI_WRAPPING = linear_regex.compile(r"\A(?:https?://)?(?:(?:dx\.|www\.)?doi\.org/|doi:\s*)", "i")
# The shape Crossref recommends for matching; printable and without blanks.
_DOI = linear_regex.compile(r"10\.\d{4,9}/[^\s\x00-\x1f\x7f]+", "a")


class IdentifierError(ValueError):
    """The text is not an identifier of the expected kind."""


def split_version(text: str) -> tuple[str, int | None]:
    """Split any spelling of an arXiv identifier into its canonical form and its version, or None.

    Raises IdentifierError for anything that arXiv could not have assigned.
    """
    if len(text) > _LONGEST or _DIGITS.isdisjoint(text):
        raise IdentifierError(f"not an arXiv identifier: {_shortened(text)}")
    bare = _TRAILING.sub("", _WRAPPING.sub("", text.strip()))
    bare = bare.removesuffix(".pdf").removesuffix(".PDF")
    if match := _NEW_STYLE.fullmatch(bare):
        year, month, number, version = match.groups()
        if _is_new_style(int(year), int(month), number):
            return f"{year}{month}.{number}", int(version) if version else None
    elif match := _OLD_STYLE.fullmatch(bare):
        archive, year, month, number, version = match.groups()
        if _is_old_style(archive.lower(), int(year), int(month), int(number)):
            return f"{archive.lower()}/{year}{month}{number}", int(version) if version else None
    raise IdentifierError(f"not an arXiv identifier: {_shortened(text)}")


def canonical_arxiv_id(text: str) -> str:
    """Return an identifier without version and class: `math/0611800`. Raises IdentifierError."""
    return split_version(text)[0]


def is_arxiv_id(text: str) -> bool:
    """Return whether the text is some spelling of an arXiv identifier."""
    try:
        split_version(text)
    except IdentifierError:
        return False
    return True


def arxiv_order(text: str) -> int:
    """Return a number that grows in the order in which arXiv assigned identifiers.

    Identifiers are assigned at announcement. The order is exact for identifiers of 2007-04 and
    later; older ones sort before all of those but share numbers between archives.
    """
    identifier = canonical_arxiv_id(text)
    digits = identifier.rpartition("/")[2].replace(".", "")
    year = int(digits[:2])
    century = 1900 if year > 90 else 2000
    return ((century + year) * 100 + int(digits[2:4])) * 100_000 + int(digits[4:])


def arxiv_url(identifier: str) -> str:
    """Return the URL of the abstract page, to which arXiv wants links to go (terms of use)."""
    return f"https://arxiv.org/abs/{identifier}"


def paper_key(source: str, identifier: str) -> str:
    """Return the unique key under which a paper is stored: `arxiv:2604.14630`.

    Preprints of bioRxiv and medRxiv are identified by their DOI. Raises IdentifierError for an
    unknown source or an identifier that its source could not have assigned.
    """
    namespace = _NAMESPACES.get(source)
    if namespace is None:
        raise IdentifierError(f"unknown source: {_shortened(source)}")
    if namespace == "arxiv":
        return f"arxiv:{canonical_arxiv_id(identifier)}"
    return f"{namespace}:{normalized_doi(identifier)}"


def normalized_doi(text: str) -> str:
    """Return a DOI without its resolver, in lower case: DOIs ignore case (DOI Handbook 2.4).

    Raises IdentifierError where the text is no DOI.
    """
    bare = _DOI_WRAPPING.sub("", text.strip())
    if not _DOI.fullmatch(bare):
        raise IdentifierError(f"not a DOI: {_shortened(text)}")
    return bare.lower()


def _is_new_style(year: int, month: int, number: str) -> bool:
    """Five digits began in 2015-01; years from 91 belong to the old style (1991 and later)."""
    digits = 5 if year >= 15 else 4
    since = (year, month) >= (7, 4)
    return since and year < 91 and 1 <= month <= 12 and len(number) == digits and int(number) > 0


def _is_old_style(archive: str, year: int, month: int, number: int) -> bool:
    in_use = year >= 91 or (year, month) <= (7, 3)
    return archive in _OLD_ARCHIVES.split() and in_use and 1 <= month <= 12 and number > 0


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
