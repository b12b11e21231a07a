"""What authors say of a paper in its comment and abstract: where it was accepted, and their links."""

from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from service.papers.domain.types import PaperView
from service.platform import linear_regex

MOST_LINKS: Final = 5
_LONGEST: Final = 160

# `accepted for publication in`, `To appear at`, `published as a conference paper at`; then the venue.
_ACCEPTED = linear_regex.compile(
    r"\b(?:accept(?:ed)?|to appear|to be (?:published|presented|appeared)|published|presented|"
    r"camera[- ]ready(?: version)?)"
    r"(?: (?:for|as|to be)(?: an?| the)?(?: \w+){0,2} ?(?:publication|presentation|published|paper|poster|oral|"
    r"spotlight|talk|article|chapter|inclusion))?(?: \(?(?:oral|poster|spotlight|highlight)\)?)?"
    r" (?:(?:at|to|by|in|on|for|into|with|as part of)\b|@)",
    "i",
)
# `EMNLP 2025 (main)`, `ICCV 2025, accepted`: a venue alone in its sentence, as an acronym with a year.
_VENUE_ALONE = linear_regex.compile(
    r"(?:[A-Z][\w&/-]*[A-Z][\w&/-]* ?'?(?:20)?\d\d\b)[\w ,@():&/-]{0,60}"
)
_UNDECIDED = linear_regex.compile(
    r"\b(?:not|if|once|until|unless|when|being|under|after|before|yet|submitted|submission|review|rejected|withdrawn|"
    r"provisionally|conditionally)\b",
    "i",
)
_OTHER_PAPER = linear_regex.compile(
    r"\b(?:version of|extension of|extended|earlier|previous|preliminary|follow-up|see also|challenge|solution|"
    r"report for|won|place)\b",
    "i",
)
# Where a sentence ends, or what authors write behind a venue.
_END = linear_regex.compile(
    r"[;\n]|\.\s|\.\z|\s*[,(]?\s*\b\d+\s*(?:pages|pp\b|figures|figs?\b|tables)|[,.(]?\s*https?:|[,.(\s]\s*doi\s*:"
    r"|[,.(\s]+(?:project|code|website|webpage|homepage|github|source code|data|comments|supplementary|"
    r"this (?:is|version|work|paper|arxiv)|the (?:code|first|final)|our code|see|copyright|©|submitted)\b",
    "i",
)
# A full stop behind these ends no sentence.
_ABBREVIATION = linear_regex.compile(
    r"\b(?:Phys|Rev|Lett|Proc|Int|Intl|Conf|Trans|Mon|Not|Astron|Astrophys|R|Roy|Soc|J|Jour|Vol|No|Appl|Math|Comput|Comp|"
    r"Sci|Res|Eng|Nat|Commun|Symp|St|Dr|Ann|Am|Natl|Acad|Mach|Learn|Intell|Inf|Syst|Lang|Assoc|pp|Instrum|Meth)\z"
)
_BLANKS = linear_regex.compile(r"\s+")
_ADDRESS = linear_regex.compile(r"https?://[^\s{}\\<>\"|^`\[\]]+", "i")
_TRAILING: Final = ".,;:)'’”*"
_CODE_HOSTS: Final = "github.com gitlab.com bitbucket.org codeberg.org anonymous.4open.science"
_NAMED_HOSTS: Final = {
    "huggingface.co": "Hugging Face", "hf.co": "Hugging Face", "zenodo.org": "Zenodo", "osf.io": "OSF",
    "kaggle.com": "Kaggle", "youtube.com": "Video", "youtu.be": "Video", "vimeo.com": "Video",
    "sites.google.com": "Project page",
}  # fmt: skip
_PROJECT = linear_regex.compile(
    r"(?:project|home|web)[- ]?(?:page|site|website)s?[^.]{0,30}\z|website[^.]{0,20}\z", "i"
)


class AuthorLink(NamedTuple):
    """A link of the authors: *Code*, *Project page*, *Video*, or the name of a host of data and models."""

    label: str
    url: str


def find_acceptance(comment: str) -> str:
    """Return where the authors say that the paper was accepted, in their words; "" where they do not.

    `Accepted for publication in MNRAS`, `CVPR 2025 (oral)`. It is a claim of the authors, not checked.
    """
    text = _BLANKS.sub(" ", comment).strip()
    for match in _ACCEPTED.finditer(text):
        before = _sentence_before(text, match.start())
        if _UNDECIDED.search(before) or _OTHER_PAPER.search(before):
            continue
        venue = _read_venue(text[match.end() :])
        if any(character.isupper() for character in venue):
            phrase = f"{match[0]} {venue}"
            return _shorten(phrase[0].upper() + phrase[1:])
    if _UNDECIDED.search(text) or _OTHER_PAPER.search(text):
        return ""
    for sentence in _sentences(text):
        if _VENUE_ALONE.fullmatch(sentence):
            return _shorten(_read_venue(sentence))
    return ""


def find_author_links(paper: PaperView) -> list[AuthorLink]:
    """Return the authors' links in the comment and the abstract, the first of each label, without repeats."""
    found: dict[str, str] = {}
    if paper.github_url:
        found["Code"] = paper.github_url
    for text in (paper.comment, paper.abstract):
        for match in _ADDRESS.finditer(text):
            url = match[0].rstrip(_TRAILING)
            if label := _name_link(url, text[max(0, match.start() - 60) : match.start()]):
                found.setdefault(label, url)
    return [AuthorLink(label, url) for label, url in found.items()][:MOST_LINKS]


def _sentence_before(text: str, at: int) -> str:
    return text[max(0, at - 40) : at].rpartition(". ")[2].rpartition(";")[2]


def _read_venue(text: str) -> str:
    """Return the beginning of a text up to the end of its sentence, or to what is no venue any more."""
    for match in _END.finditer(text):
        is_stop = match[0].startswith(".")
        if is_stop and _ABBREVIATION.search(text[: match.start()]):
            continue
        return text[: match.start()].strip(" ,.(:-")
    return text.strip(" ,.(:-")


def _sentences(text: str) -> Iterator[str]:
    for part in text.replace("; ", ". ").split(". "):
        yield from (piece.strip(" .,") for piece in (part, *part.split(", ")))


def _shorten(phrase: str) -> str:
    # A bracket whose other half was cut off.
    if phrase.count(")") > phrase.count("("):
        phrase = phrase.removesuffix(")")
    if phrase.count("(") > phrase.count(")"):
        phrase = f"{phrase})" if len(phrase) < _LONGEST else phrase.rpartition("(")[0].rstrip(" ,")
    return phrase if len(phrase) <= _LONGEST else f"{phrase[:_LONGEST].rpartition(' ')[0]} …"


def _name_link(url: str, before: str) -> str:
    """Return the label of a link, or "" for one that is none of the paper's own."""
    try:
        host = (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
    if host in _CODE_HOSTS.split() or host.startswith(("git.", "gitlab.")):
        return "Code"
    if host in _NAMED_HOSTS:
        return _NAMED_HOSTS[host]
    is_project = host.endswith((".github.io", ".gitlab.io")) or bool(_PROJECT.search(before))
    return "Project page" if is_project and "." in host else ""
