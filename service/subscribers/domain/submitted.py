"""What a subscriber submits: an arXiv id, a DOI or a link, read as the name of a paper."""

from collections.abc import Collection
from datetime import timedelta

from service.papers.domain.identifiers import IdentifierError, canonical_arxiv_id, normalized_doi
from service.platform import linear_regex

MOST_A_DAY = 5
A_DAY = timedelta(hours=24)
# A paper whose first version is older is not news.
OLDEST = timedelta(days=30)
# A source that has not answered for so long is not asked again.
PATIENCE = timedelta(days=3)
LONGEST = 500

# The DOIs that bioRxiv and medRxiv give: by date and number, or by number alone (before 2019-12).
_PREPRINT_DOI = linear_regex.compile(r"10\.(?:1101|64898)/(?:\d{4}\.\d\d\.\d\d\.)?\d{6,10}", "a")
# The address of a preprint: `https://www.biorxiv.org/content/10.1101/2026.11.20.123456v2.full`.
_PREPRINT_PAGE = linear_regex.compile(
    r"\A(?:https?://)?(?:www\.|connect\.)?(?:biorxiv|medrxiv)\.org/content/(?:early/[\d/]+/)?"
    r"(10\.\d{4,9}/[\d.]+)(?:v\d+)?(?:[./?#].*)?\Z",
    "i",
)


class SubmissionFault(ValueError):
    """What was typed cannot be looked up; the message says why."""


def parse_submitted(text: str) -> str:
    """Return the name of the paper that an arXiv id, a DOI or an address names.

    `https://arxiv.org/abs/2611.01234v2` is `arxiv:2611.01234`, `10.1101/2026.11.20.123456` is
    `doi:10.1101/2026.11.20.123456`. Nothing is fetched. Raises `SubmissionFault`.
    """
    typed = text.strip()
    if not typed:
        raise SubmissionFault("Type an arXiv id, a DOI or a link to a paper.")
    if len(typed) <= LONGEST:
        page = _PREPRINT_PAGE.search(typed)
        for namespace, parse in (("arxiv", canonical_arxiv_id), ("doi", normalized_doi)):
            try:
                return f"{namespace}:{parse(page[1].rstrip('.') if page else typed)}"
            except IdentifierError:
                continue
    raise SubmissionFault(
        "This is no arXiv id, DOI or link that we can read. Examples: 2611.01234,"
        " https://arxiv.org/abs/2611.01234, 10.48550/arXiv.2611.01234."
    )


def servers_for(name: str, sources: Collection[str]) -> tuple[str, ...]:
    """Return the configured servers that can be asked for a paper, by its name; none for others."""
    namespace, _, identifier = name.partition(":")
    if namespace == "arxiv":
        return ("arxiv",) if {"arxiv", "huggingface"} & {*sources} else ()
    if not _PREPRINT_DOI.fullmatch(identifier):
        return ()
    return tuple(server for server in ("biorxiv", "medrxiv") if server in sources)
