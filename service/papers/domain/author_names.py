"""Author names: split a string of authors into names, and match a name against a query."""

from collections.abc import Iterator
from typing import Final, Literal

from service.papers.domain.latex.readable import fold, to_readable_line
from service.platform import linear_regex
from service.platform.caches import cached

NameMatch = Literal["exact", "guess"]

_SUFFIX = linear_regex.compile(r"(?:Jr|Sr)\.?|I{2,3}|IV|V", "i")
_AND = linear_regex.compile(r"(?:\A|\s+)(?:and|&)\s+", "i")
_GROUPS: Final = ("collaboration", "collaborations", "consortium", "team", "group", "network")
# Words that belong to the family name after them: a query may be `van der Maaten`.
PARTICLES: Final = "al af bin da dal de del della den der di dos du el la le ter ten van von zu"
_APOSTROPHES = dict.fromkeys(map(ord, "'’ʼ`"))
_NOT_IN_KEYS = linear_regex.compile(r"[^\w\s]|_")


def split_authors(creator: str) -> tuple[str, ...]:
    """Return the names in a feed's comma-joined `dc:creator`, in order, as written.

    Affiliations in parentheses, also nested ones, are dropped with their commas; `and` before the
    last name separates; `Jr.` and `III` stay with their name; a collaboration is one name.
    """
    names: list[str] = []
    for part in _parts(creator):
        name = " ".join(part.split()).strip(",;: ")
        if names and _SUFFIX.fullmatch(name):
            names[-1] = f"{names[-1]} {name}"
        elif any(character.isalpha() for character in name):
            names.append(name)
    return tuple(names)


@cached("author keys", maxsize=65_536)
def author_key(name: str) -> str:
    """Return a name for comparing: `Bengio, Yoshua` and `Yoshua Bengio` are `yoshua bengio`.

    It has no accents, TeX, full stops or hyphens, so that `Jean-Baptiste` is `Jean Baptiste`.
    """
    readable = to_readable_line(name)
    family, comma, given = readable.partition(",")
    if comma and given.strip() and not _SUFFIX.fullmatch(given.strip()):
        readable = f"{given} {family}"
    # An apostrophe joins (O'Brien), every other mark separates (J.-B.).
    joined = fold(readable).translate(_APOSTROPHES)
    return " ".join(_NOT_IN_KEYS.sub(" ", joined).split())


def author_matches(query: str, name: str) -> NameMatch | None:
    """Return how well a paper's author matches the queried name, or None.

    "exact" means equal whole names; "guess" that an initial or a missing middle name stands for
    the full one, or that only a family name (or a collaboration's) was queried.
    """
    queried, written = author_key(query), author_key(name)
    if not queried or not written:
        return None
    if queried == written:
        return "exact"
    return "guess" if _may_be(queried.split(), written.split()) else None


def _may_be(queried: list[str], written: list[str]) -> bool:
    if is_group(queried) or is_group(written):
        return group_name(queried) == group_name(written)
    queried, written = without_suffix(queried), without_suffix(written)
    if len(queried) == 1 or queried[0] in PARTICLES.split():
        return written[-len(queried) :] == queried
    return len(written) > 1 and _is_same_person(queried, written)


def _is_same_person(queried: list[str], written: list[str]) -> bool:
    """Equal family names, compatible first names, and no middle name that contradicts."""
    if queried[-1] != written[-1] or not _fits(queried[0], written[0]):
        return False
    few, many = sorted((queried[1:-1], written[1:-1]), key=len)
    rest = iter(many)
    return all(any(_fits(name, other) for other in rest) for name in few)


def _fits(name: str, other: str) -> bool:
    """Return whether the names are equal, or one is the initial of the other."""
    return name == other or (min(len(name), len(other)) == 1 and name[0] == other[0])


def is_group(words: list[str]) -> bool:
    """Return whether the words of an `author_key` name a collaboration."""
    return len(words) > 1 and words[-1] in _GROUPS


def group_name(words: list[str]) -> list[str]:
    """Return a group's bare name: `pierre auger` for `for the Pierre Auger Collaboration`."""
    return [word for word in words if word not in {*_GROUPS, "the", "for", "on", "behalf", "of"}]


def without_suffix(words: list[str]) -> list[str]:
    """Return the words of a name without `jr`, `sr` or `iii`."""
    return words[:-1] if len(words) > 1 and _SUFFIX.fullmatch(words[-1]) else words


def _parts(creator: str) -> Iterator[str]:
    for part in _outside_parentheses(creator):
        yield from _split_on_and(_without_affiliations(part))


def _outside_parentheses(text: str) -> Iterator[str]:
    """Yield the pieces between commas and semicolons outside parentheses.

    A parenthesis that never closes is ignored, or it would swallow all names after it.
    """
    depth, start = 0, 0
    unclosed = _unclosed(text)
    for at, character in enumerate(text):
        if character == "(" and at not in unclosed:
            depth += 1
        elif character == ")":
            depth = max(0, depth - 1)
        elif depth == 0 and (character in ",;" or _ends_group(text, at)):
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _ends_group(text: str, at: int) -> bool:
    """Return whether this is the colon of `Euclid Collaboration: A. Author, …`."""
    return text[at] == ":" and text[max(0, at - 20) : at].rstrip().lower().endswith(_GROUPS)


def _unclosed(text: str) -> frozenset[int]:
    opened: list[int] = []
    for at, character in enumerate(text):
        if character == "(":
            opened.append(at)
        elif character == ")" and opened:
            opened.pop()
    return frozenset(opened)


def _split_on_and(part: str) -> list[str]:
    """`A. Roe and the X Team` are two, `Research and Development Team` is one."""
    pieces = _AND.split(part)
    last = pieces[-1].split()
    if len(pieces) > 1 and is_group([word.lower() for word in last]) and last[0].lower() != "the":
        head = pieces[-2].lower().split()
        if len(head) == 1:
            return [part]
    return pieces


def _without_affiliations(part: str) -> str:
    """Return the part without its parentheses, except for a nickname: `Wei (Tony) Zhang`."""
    out: list[str] = []
    depth, start = 0, 0
    for at, character in enumerate(part):
        if character == "(":
            if depth == 0:
                out.append(part[start:at])
                start = at
            depth += 1
        elif character == ")" and depth:
            depth -= 1
            if depth == 0:
                is_nickname = part[at + 1 : at + 3].strip()[:1].isalpha() and bool(out[-1].strip())
                out.append(part[start : at + 1] if is_nickname else " ")
                start = at + 1
    out.append(part[start:])
    return "".join(out)
