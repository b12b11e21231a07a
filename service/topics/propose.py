"""Propose topics from a file of references; nothing of the file is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy.orm import Session, sessionmaker

from service.papers.domain.latex.readable import to_readable
from service.papers.domain.references import Reference, ReferenceFile, Unreadable
from service.papers.domain.types import PaperView
from service.papers.store.match_references import match_references
from service.papers.store.read import get_papers
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.similarity import like_paper
from service.similarity.availability import is_available
from service.similarity.domain.bm25 import rarity, weigh_paper
from service.similarity.domain.vectors import MOST_PAPERS
from service.similarity.embeddings.embedders import MODEL_NAMES, load_embedder
from service.similarity.packages import has_packages
from service.similarity.store.vectors import get_meanings, select_texts
from service.topics.domain.proposal import (
    MOST_GROUPS,
    MOST_WORDS_OF_GROUP,
    FilePaper,
    ProposedTopic,
    count_groups,
    find_words,
    has_description,
    propose,
    without_notices,
)
from service.topics.live_preview import TooBroad
from service.topics.preview_lookup import LivePreview
from service.topics.store.to_sql import fetch_lexemes
from service.topics.topics import TopicError

if has_packages():  # On NumPy, which is an extra.
    from service.similarity.embeddings.clustering import cluster_papers

# Papers that are compared with each other: the time grows with the square.
_MOST_COMPARED: Final = 600
# Papers not stored here are embedded while the reader waits, about a second at most.
_MOST_EMBEDDED: Final[Mapping[str, int]] = {"wordllama": 300, "minilm": 40, "none": 300}

_LONGEST_WORD: Final = 40

Preview = Callable[[Session, str, date], LivePreview]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Topics, the labels of the entries found here and not found, and the unreadable entries.

    `compared_count` is how many distinct papers were compared with each other to make groups.
    """

    topics: tuple[ProposedTopic, ...]
    found: tuple[str, ...]
    not_found: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    form: str
    note: str = ""
    compared_count: int = 0

    @property
    def entry_count(self) -> int:
        """How many entries the file has."""
        return len(self.found) + len(self.not_found) + len(self.unreadable)


@dataclass(frozen=True, slots=True)
class PreviewedTopic:
    """A proposed topic with what it would have brought; `preview` is None where that takes too long."""

    topic: ProposedTopic
    preview: LivePreview | None


def propose_topics(session: Session, settings: Settings, file: ReferenceFile) -> Proposal:
    """Return the topics that a file of references suggests. Reads; writes nothing."""
    references = file.references
    ids = match_references(session, references)
    stored = get_papers(session, set(ids.values()))
    ids = {number: paper_id for number, paper_id in ids.items() if paper_id in stored}
    distinct = _choose_distinct(references, ids)
    papers = without_notices(
        [_to_paper(references[n], stored.get(ids.get(n, 0))) for n in distinct]
    )
    compared, groups, words = _group(session, settings, papers, [ids.get(n, 0) for n in distinct])
    return Proposal(
        propose(papers, groups, words),
        tuple(references[n].label for n in sorted(ids)),
        tuple(each.label for n, each in enumerate(references) if n not in ids),
        file.unreadable,
        file.form,
        file.note,
        compared,
    )


def preview_each(
    sessions: sessionmaker[Session], preview: Preview, proposal: Proposal, until: date
) -> list[PreviewedTopic]:
    """Return the topics with what each would have brought in the last days, those alone that work.

    Each has a transaction of its own, as `LivePreviews.preview` needs.
    """
    previewed = []
    for topic in proposal.topics:
        try:
            with transaction(sessions) as session:
                previewed.append(PreviewedTopic(topic, preview(session, topic.query, until)))
        except TooBroad:
            previewed.append(PreviewedTopic(topic, None))
        except TopicError:
            continue  # words that mean nothing to the search, or a site that cannot compare texts
    return previewed


def _choose_distinct(references: Sequence[Reference], ids: Mapping[int, int]) -> list[int]:
    """Return the indexes of the entries, each stored paper and each label once."""
    seen: dict[object, int] = {}
    for number, reference in enumerate(references):
        seen.setdefault(ids.get(number) or reference.label.casefold(), number)
    return list(seen.values())


def _to_paper(reference: Reference, stored: PaperView | None) -> FilePaper:
    if stored is not None:
        return FilePaper(
            stored.title,
            stored.key,
            stored.title,
            stored.abstract,
            stored.authors,
            stored.categories,
            reference.keywords,
        )
    return FilePaper(
        reference.label,
        "",
        reference.title,
        to_readable(reference.abstract),
        reference.authors,
        reference.categories,
        reference.keywords,
    )


def _group(
    session: Session, settings: Settings, papers: Sequence[FilePaper], ids: Sequence[int]
) -> tuple[int, list[list[int]], dict[int, list[str]]]:
    """Return how many papers were compared, the groups as indexes into `papers`, and the words of
    groups that need some, by their place.
    """
    if not is_available(session):
        return 0, [], {}
    unknown = [n for n, paper_id in enumerate(ids) if not paper_id and papers[n].title]
    known = [n for n, paper_id in enumerate(ids) if paper_id]
    chosen = [*_spread(known, _MOST_COMPARED), *_spread(unknown, _MOST_EMBEDDED[settings.embedder])]
    chosen = sorted(_spread(sorted(chosen), _MOST_COMPARED))
    if len(chosen) < 2:
        return len(chosen), [], {}
    lexemes = _weigh(session, [papers[n] for n in chosen], [ids[n] for n in chosen])
    dense = _embed(session, settings, [papers[n] for n in chosen], [ids[n] for n in chosen])
    groups = cluster_papers(
        MODEL_NAMES[settings.embedder], dense, lexemes, count_groups(len(chosen)), MOST_PAPERS
    )
    weights = dict(zip(chosen, lexemes, strict=True))
    groups = [[chosen[n] for n in group] for group in groups]
    words = {
        place: _describe(session, [papers[n] for n in group], [weights[n] for n in group])
        for place, group in enumerate(groups[:MOST_GROUPS])
        if has_description(papers, group)
    }
    return len(chosen), groups, words


def _describe(
    session: Session, papers: Sequence[FilePaper], weights: Sequence[Mapping[str, float]]
) -> list[str]:
    """Return the words of these papers with the largest BM25 weights in all, as they are written."""
    total: dict[str, float] = {}
    for lexeme, weight in (pair for each in weights for pair in each.items()):
        total[lexeme] = total.get(lexeme, 0.0) + weight
    written = Counter(
        word
        for paper in papers
        for word in find_words(f"{paper.title} {paper.abstract}".replace("-", " "))
        if 1 < len(word) < _LONGEST_WORD
    )
    lexicon = fetch_lexemes(session, written)
    spelled: dict[str, str] = {}
    for word, _ in written.most_common():
        for lexeme in lexicon[word]:
            spelled.setdefault(lexeme, word)
    heaviest = sorted(total, key=lambda lexeme: (-total[lexeme], lexeme))
    return [spelled[lexeme] for lexeme in heaviest if lexeme in spelled][:MOST_WORDS_OF_GROUP]


def _spread(numbers: Sequence[int], most: int) -> list[int]:
    """Return at most `most` of them, evenly spread."""
    step = max(1.0, len(numbers) / most)
    return [numbers[int(n * step)] for n in range(min(len(numbers), most))]


def _embed(
    session: Session, settings: Settings, papers: Sequence[FilePaper], ids: Sequence[int]
) -> list[bytes]:
    """Return the vectors of papers: stored ones, or of those not stored here computed ones.

    Empty for a stored paper that is not embedded yet: its words are compared alone.
    """
    model = MODEL_NAMES[settings.embedder]
    vectors = {
        meaning.paper_id: meaning.dense
        for meaning in get_meanings(session, [paper_id for paper_id in ids if paper_id])
        if meaning.model == model
    }
    unknown = [n for n, paper_id in enumerate(ids) if not paper_id]
    texts = [f"{papers[n].title}\n{papers[n].abstract}" for n in unknown]
    computed = load_embedder(settings.embedder).embed(texts) if texts else []
    dense = [vectors.get(paper_id, b"") for paper_id in ids]
    for n, vector in zip(unknown, computed, strict=True):
        dense[n] = vector
    return dense


def _weigh(
    session: Session, papers: Sequence[FilePaper], ids: Sequence[int]
) -> list[dict[str, float]]:
    """Return the BM25 weight of each lexeme of each paper, as for stored papers."""
    stored = {text.paper_id: text for text in select_texts(session, [i for i in ids if i])}
    unknown = [paper for paper, paper_id in zip(papers, ids, strict=True) if not paper_id]
    written = {text for paper in unknown for text in (paper.title, paper.abstract)}
    lexicon = fetch_lexemes(session, written) if written else {}
    weighed = [
        weigh_paper(stored[i].title_lexemes, stored[i].abstract_lexemes)
        if i
        else weigh_paper(lexicon[paper.title], lexicon[paper.abstract])
        for paper, i in zip(papers, ids, strict=True)
    ]
    corpus = like_paper.load_corpus(session, {lexeme for each in weighed for lexeme in each})
    return [
        {lexeme: weight * rarity(corpus, lexeme) for lexeme, weight in each.items()}
        for each in weighed
    ]
