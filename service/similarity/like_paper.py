"""What a stored paper is like: its vector and its rarest words."""

from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from service.platform.settings.settings import Settings
from service.similarity.domain.bm25 import Corpus, ShippedCorpus, pack_paper, rarity, weigh_paper
from service.similarity.domain.calibration import Target
from service.similarity.domain.vectors import PaperVectors
from service.similarity.embeddings.embedders import MODEL_NAMES, load_embedder
from service.similarity.store.corpus import get_corpus, get_generation
from service.similarity.store.vectors import PaperText, get_meanings, read_texts


def target_of_paper(session: Session, paper: PaperVectors) -> Target:
    """What a stored paper would look for if it were a probe: its own vector, its rarest words."""
    (text,) = read_texts(session, [paper.paper_id])
    return Target(paper.dense, rare_words(text, read_corpus(session, lexemes_of([text]))))


def meaning_of(session: Session, settings: Settings, paper_id: int) -> PaperVectors:
    """What a stored paper means: as it was learned, or read now where it was not yet."""
    (known,) = get_meanings(session, [paper_id])
    if known.model == MODEL_NAMES[settings.embedder]:
        return known
    return read_meanings(settings, read_texts(session, [paper_id]))[0]


def read_meanings(settings: Settings, texts: Sequence[PaperText]) -> list[PaperVectors]:
    """What papers mean, from their texts. Raises `SettingsError` where the model is missing."""
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
    said = weigh_paper(text.title_lexemes, text.abstract_lexemes)
    return {lexeme: weight * rarity(corpus, lexeme) for lexeme, weight in said.items()}


def lexemes_of(texts: Iterable[PaperText]) -> set[str]:
    return {lexeme for text in texts for lexeme in (*text.title_lexemes, *text.abstract_lexemes)}


def read_corpus(session: Session, lexemes: Iterable[str]) -> Corpus | ShippedCorpus:
    generation = get_generation(session)
    if generation is None:
        return ShippedCorpus()
    return get_corpus(session, generation.paper_count, lexemes)
