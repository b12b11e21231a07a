"""arXiv's subject classification: codes, names and aliases.

Source: https://arxiv.org/category_taxonomy. Six categories have a twin under another archive; a
paper in one is in both, so a topic on either must match it.
"""

from difflib import get_close_matches
from typing import Final

from service.papers.domain.category_names import ARCHIVE_NAMES, CATEGORY_NAMES
from service.papers.domain.source_names import JOURNALS, SOURCES
from service.platform import linear_regex
from service.platform.caches import cached

# alias -> canonical, as arXiv itself directs them.
ALIASES: Final = {
    "cs.NA": "math.NA",
    "cs.SY": "eess.SY",
    "math.IT": "cs.IT",
    "math.MP": "math-ph",
    "q-fin.EC": "econ.GN",
    "stat.TH": "math.ST",
}
# Archives of the 1990s and the category that replaced each.
SUBSUMED: Final = {
    "acc-phys": "physics.acc-ph",
    "adap-org": "nlin.AO",
    "alg-geom": "math.AG",
    "ao-sci": "physics.ao-ph",
    "atom-ph": "physics.atom-ph",
    "bayes-an": "physics.data-an",
    "chao-dyn": "nlin.CD",
    "chem-ph": "physics.chem-ph",
    "cmp-lg": "cs.CL",
    "comp-gas": "nlin.CG",
    "dg-ga": "math.DG",
    "funct-an": "math.FA",
    "mtrl-th": "cond-mat.mtrl-sci",
    "patt-sol": "nlin.PS",
    "plasm-ph": "physics.plasm-ph",
    "q-alg": "math.QA",
    "solv-int": "nlin.SI",
    "supr-con": "cond-mat.supr-con",
}
_TWINS: Final = ALIASES | {canonical: alias for alias, canonical in ALIASES.items()}
# Bare `astro-ph`, `cond-mat`, `q-bio` … were categories once, and old papers still carry them.
_ALL: Final = CATEGORY_NAMES.keys() | ARCHIVE_NAMES.keys() | SUBSUMED.keys()
_SPELLINGS: Final = {code.lower(): code for code in sorted(_ALL)}
_CODE = linear_regex.compile(r"[\w.-]{1,40}", "a")
# Other sources' own categories: no list of them exists, so only their form is checked.
_ELSEWHERE: Final = {
    source.name: source.title for source in (*SOURCES, JOURNALS) if source.has_own_categories
}
_FOREIGN = linear_regex.compile(rf"({'|'.join(_ELSEWHERE)})(?:\.([a-z0-9]+(?:-[a-z0-9]+)*))?", "a")


class UnknownCategory(ValueError):
    """No such category or archive; the message suggests a similar code."""

    def __init__(self, code: str) -> None:
        self.suggestion = suggested_category(code)
        hint = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        super().__init__(f"unknown arXiv category {code[:40]!r}{hint}")


def is_known(code: str) -> bool:
    """Return whether this is a category or archive of any source; case does not matter."""
    return code.strip().lower() in _SPELLINGS or is_foreign(code)


def is_foreign(code: str) -> bool:
    """Return whether this is another source's category (`biorxiv.cell-biology`), or all of them."""
    return _FOREIGN.fullmatch(code.strip().lower()) is not None


def archive_of(code: str) -> str:
    """Return the part before the full stop: `biorxiv` of `biorxiv.cell-biology`."""
    return code.partition(".")[0]


def canonical_category(code: str) -> str:
    """Return the code that arXiv uses: case repaired, aliases and old archives resolved.

    Raises UnknownCategory.
    """
    if is_foreign(code):
        return code.strip().lower()
    known = _spelled(code)
    return ALIASES.get(known) or SUBSUMED.get(known) or known


def expand(pattern: str) -> frozenset[str]:
    """Return all codes that a pattern stands for: `cs.CL`, `cs.NA` (and its twin), `cs.*` or `cs`.

    It includes every code that papers of these categories may carry: twins, the bare archive and
    the archives it replaced. Another source's papers carry its name beside their category, so
    `biorxiv` stands for itself. Raises UnknownCategory.
    """
    if is_foreign(pattern.strip().removesuffix(".*")):
        return frozenset({pattern.strip().removesuffix(".*").lower()})
    known = _spelled(pattern.strip().removesuffix(".*"))
    if pattern.strip().endswith(".*") and known not in ARCHIVE_NAMES:
        raise UnknownCategory(pattern.strip())
    return _expanded(known)


def category_name(code: str) -> str:
    """Return a category's name: "Computation and Language" for `cs.CL`; an unknown code as is."""
    known = _SPELLINGS.get(code.strip().lower())
    if known is None:
        return _foreign_name(code)
    known = SUBSUMED.get(known, known)
    return CATEGORY_NAMES.get(known) or ARCHIVE_NAMES[known]


def _foreign_name(code: str) -> str:
    """Return "Cell biology (bioRxiv)" for `biorxiv.cell-biology`."""
    found = _FOREIGN.fullmatch(code.strip().lower())
    if found is None:
        return code
    place = _ELSEWHERE[found[1]]
    return f"{found[2].replace('-', ' ').capitalize()} ({place})" if found[2] else place


def suggested_category(code: str) -> str | None:
    """Return the known code most similar to this one, or None where nothing is close."""
    wanted = code.strip().lower()
    if not _CODE.fullmatch(wanted):
        return None
    close = get_close_matches(wanted, _SPELLINGS, n=1, cutoff=0.6)
    return _SPELLINGS[close[0]] if close else None


def _spelled(code: str) -> str:
    known = _SPELLINGS.get(code.strip().lower())
    if known is None:
        raise UnknownCategory(code.strip())
    return known


@cached("category groups", maxsize=256)
def _expanded(known: str) -> frozenset[str]:
    inside = {code for code in CATEGORY_NAMES if code == known or code.startswith(f"{known}.")}
    inside |= {SUBSUMED.get(known, known)}
    inside |= {_TWINS[code] for code in inside if code in _TWINS}
    old = {code for code, successor in SUBSUMED.items() if successor in inside}
    return frozenset(inside | old)
