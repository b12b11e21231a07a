"""The dense vector and the weighted lexemes of a stored paper."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy.orm import Session

from service.platform.caches import SizedCache
from service.platform.settings.settings import Settings
from service.similarity.domain.bm25 import Corpus, ShippedCorpus, pack_paper, rarity, weigh_paper
from service.similarity.domain.calibration import Target, join_vectors
from service.similarity.domain.vectors import PaperVectors
from service.similarity.embeddings.embedders import MODEL_NAMES, Embedder, load_embedder
from service.similarity.store.corpus import get_corpus
from service.similarity.store.vectors import PaperText, get_meanings, select_texts

# Of a description that is embedded as a whole: 85 words are some 128 word pieces.
MOST_WORDS: Final = 85
# Of a cached description, with the objects around it; a clause has 2,000 characters at most.
_TEXT_BYTES: Final = 2_500
_PART_END: Final = re.compile(r"[.;:]+(?:\s|$)|\s[-*•]\s")


def target_of_paper(session: Session, paper: PaperVectors) -> Target:
    """Return the target of a like query for a stored paper: its own vector and weighted lexemes."""
    return targets_of_papers(session, [paper])[0]


def targets_of_papers(session: Session, papers: Sequence[PaperVectors]) -> list[Target]:
    """Return the target of each of these stored papers."""
    texts = {text.paper_id: text for text in select_texts(session, [p.paper_id for p in papers])}
    corpus = load_corpus(session, lexemes_of(texts.values()))
    return [Target(p.dense, rare_words(texts[p.paper_id], corpus)) for p in papers]


def meanings_of(session: Session, settings: Settings, ids: Sequence[int]) -> list[PaperVectors]:
    """Return the stored vectors of papers, or compute those of papers not embedded yet."""
    known = {paper.paper_id: paper for paper in get_meanings(session, ids)}
    unknown = [i for i, paper in known.items() if paper.model != MODEL_NAMES[settings.embedder]]
    texts = select_texts(session, unknown) if unknown else []
    known |= {paper.paper_id: paper for paper in load_meanings(settings, texts)}
    return [known[i] for i in ids]


# A topic is embedded for its live preview, for the page, and once more when it is saved.
_embedded = SizedCache[bytes]("embedded texts", 1_000_000, lambda vector: len(vector) + _TEXT_BYTES)


def embed_text(settings: Settings, text: str) -> bytes:
    """Return the vector of a description, the mean of its parts where it is long.

    Raises `SettingsError` where the model is missing.
    """
    embedder = load_embedder(settings.embedder)
    known = _embedded.get((embedder.name, text))
    return known or _embedded.add((embedder.name, text), _embed_parts(embedder, text))


def _embed_parts(embedder: Embedder, text: str) -> bytes:
    parts = [part for part in map(str.strip, _PART_END.split(text)) if len(part) > 3]
    if not is_long(text) or not parts:
        return embedder.embed([text])[0]
    return join_vectors(embedder.embed(parts))


def is_long(text: str) -> bool:
    """Return whether a description is longer than a sentence model reads: 128 word pieces."""
    return text.count(" ") >= MOST_WORDS


def is_word_list(text: str) -> bool:
    """Return whether a description is a long list of words, as a proposal of topics writes one."""
    return is_long(text) and not _PART_END.search(text)


def load_meanings(settings: Settings, texts: Sequence[PaperText]) -> list[PaperVectors]:
    """Compute the vectors of papers. Raises `SettingsError` where the model is missing."""
    if not texts:
        return []
    embedder = load_embedder(settings.embedder)
    vectors = embedder.embed([f"{text.title}\n{text.abstract}" for text in texts])
    return [
        PaperVectors(
            text.paper_id,
            embedder.name,
            dense,
            pack_paper(weigh_paper(text.title_lexemes, text.abstract_lexemes)),
        )
        for text, dense in zip(texts, vectors, strict=True)
    ]


def rare_words(text: PaperText, corpus: Corpus | ShippedCorpus) -> dict[str, float]:
    """Return the BM25 weight of each lexeme of a paper: term frequency times rarity."""
    weights = weigh_paper(text.title_lexemes, text.abstract_lexemes)
    return {lexeme: weight * rarity(corpus, lexeme) for lexeme, weight in weights.items()}


def lexemes_of(texts: Iterable[PaperText]) -> set[str]:
    """Return the lexemes of these titles and abstracts."""
    return {lexeme for text in texts for lexeme in (*text.title_lexemes, *text.abstract_lexemes)}


def load_corpus(session: Session, lexemes: Iterable[str]) -> Corpus | ShippedCorpus:
    """Return how common these lexemes are, by the shipped counts where none are stored yet."""
    return get_corpus(session, lexemes) or ShippedCorpus()
