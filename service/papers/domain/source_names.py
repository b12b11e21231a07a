"""The registry of sources, for settings, topics, texts and keys.

A new source is a file in `service/papers/sources` with a function `build`, and an entry here.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceName:
    """A source: `name` as settings and `src:` write it, `title` as people do.

    `module` is its file in `service/papers/sources`. Its papers' keys begin with `namespace`, and
    `has_dois` says that their identifiers are DOIs. A source that `is_listing` names papers of
    another one. An edition waits for the configured sources of the lowest `gating_rank`, and for
    none without a rank if any has one. `doctor_setting` is the setting with the URL that the doctor
    requests, empty for none; `aliases` are other spellings in `src:`.
    """

    name: str
    title: str
    module: str
    namespace: str
    poll_seconds: int
    doctor_setting: str = ""
    gating_rank: int | None = None
    is_listing: bool = False
    has_own_categories: bool = False
    has_dois: bool = False
    aliases: tuple[str, ...] = ()


SOURCES: Final = (
    SourceName(
        name="arxiv",
        title="arXiv",
        module="arxiv_feed",
        namespace="arxiv",
        poll_seconds=600,
        doctor_setting="arxiv_feed_url",
        gating_rank=1,
        aliases=("arxiv.org",),
    ),
    SourceName(
        name="huggingface",
        title="Hugging Face Daily Papers",
        module="huggingface",
        namespace="arxiv",
        poll_seconds=1800,
        doctor_setting="huggingface_url",
        is_listing=True,
        aliases=("hf", "hugging-face"),
    ),
    SourceName(
        name="biorxiv",
        title="bioRxiv",
        module="biorxiv",
        namespace="biorxiv",
        poll_seconds=3600,
        gating_rank=2,
        has_own_categories=True,
        has_dois=True,
    ),
    SourceName(
        name="medrxiv",
        title="medRxiv",
        module="biorxiv",
        namespace="medrxiv",
        poll_seconds=3600,
        gating_rank=2,
        has_own_categories=True,
        has_dois=True,
    ),
)

# Feeds of journals are configured one by one; each is a source of its own: `journal.nature`.
JOURNALS: Final = SourceName(
    name="journal",
    title="Journals",
    module="journal_feed",
    namespace="",
    poll_seconds=3600,
    has_own_categories=True,
)

SOURCE_NAMES: Final = tuple(source.name for source in SOURCES)
# Their lists name papers of another source; such a paper is a stub until that source completes it.
LISTING_SOURCES: Final = tuple(source.name for source in SOURCES if source.is_listing)


def find_source(name: str) -> SourceName:
    """Return the entry of a source by its name. Raises `KeyError`."""
    return _BY_NAME[name]


_BY_NAME: Final = {source.name: source for source in SOURCES}
