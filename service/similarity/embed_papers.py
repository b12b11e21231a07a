"""Meaning: papers are learned as they come, and each has others like it."""

from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session, sessionmaker

from service.papers.store.works import get_works
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.similarity.domain.calibration import (
    LEAST_POOL,
    Origin,
    build_like_query,
    draw_shipped_line,
    scale_of_shipped,
)
from service.similarity.domain.vectors import PaperVectors
from service.similarity.embeddings.embedders import MODEL_NAMES
from service.similarity.like_paper import read_meanings, target_of_paper
from service.similarity.store.corpus import count_meanings, get_generation, open_generation
from service.similarity.store.vectors import (
    PaperText,
    count_unlearned,
    find_nearest,
    find_unlearned,
    get_meanings,
    read_texts,
    upsert_meanings,
)

log = get_logger(__name__)

# Papers learned in one transaction; it takes a fifth of a second.
LEARNED_AT_ONCE = 256


def meaning_note(settings: Settings) -> str:
    """What a page says where likeness is by words alone; empty where a model is set."""
    if settings.embedder != "none":
        return ""
    return "No language model is set up here, so papers count as alike by the words they share."


def learn_meanings(
    sessions: sessionmaker[Session],
    settings: Settings,
    limit: int | None = None,
    on_learned: Callable[[int], None] = lambda _: None,
    at_once: int = LEARNED_AT_ONCE,
) -> int:
    """Learn papers that are not learned yet, newest first, `limit` at the most; returns how many.

    Safe to run twice and at the same time: a row is written over with the same values.
    `at_once` are learned in one transaction, and `on_learned` is told the count so far. Raises `SettingsError` where the model is missing.
    """
    done = 0
    while limit is None or done < limit:
        most = at_once if limit is None else min(at_once, limit - done)
        learned = _learn_some(sessions, settings, most, None)
        if not learned:
            break
        done += learned
        on_learned(done)
    if done:
        log.info("learn_meanings", papers=done, model=MODEL_NAMES[settings.embedder])
    return done


def count_waiting(sessions: sessionmaker[Session], settings: Settings) -> int:
    """How many stored papers are not learned yet."""
    with transaction(sessions) as session:
        return count_unlearned(session, MODEL_NAMES[settings.embedder])


def learn_papers(sessions: sessionmaker[Session], settings: Settings, ids: Sequence[int]) -> int:
    """Learn those of these papers that are not learned yet: before a day is matched."""
    done = 0
    for start in range(0, len(ids), LEARNED_AT_ONCE):
        done += _learn_some(
            sessions, settings, LEARNED_AT_ONCE, ids[start : start + LEARNED_AT_ONCE]
        )
    return done


def learn_papers_here(session: Session, settings: Settings, ids: Sequence[int]) -> int:
    """Do the same inside the caller's transaction, for a caller that may roll it back.

    The model works meanwhile: where many may be left to learn, call `learn_papers` first.
    """
    unlearned = find_unlearned(session, MODEL_NAMES[settings.embedder], len(ids), ids)
    for start in range(0, len(unlearned), LEARNED_AT_ONCE):
        texts = read_texts(session, unlearned[start : start + LEARNED_AT_ONCE])
        _store(session, texts, read_meanings(settings, texts))
    return len(unlearned)


def _learn_some(
    sessions: sessionmaker[Session], settings: Settings, most: int, among: Sequence[int] | None
) -> int:
    with transaction(sessions) as session:
        wanted = find_unlearned(session, MODEL_NAMES[settings.embedder], most, among)
        texts = read_texts(session, wanted) if wanted else []
    # Reading takes no lock, and nothing is held open while the model works.
    meanings = read_meanings(settings, texts)
    with transaction(sessions) as session:
        _store(session, texts, meanings)
    return len(meanings)


def _store(session: Session, texts: Sequence[PaperText], meanings: Sequence[PaperVectors]) -> None:
    upsert_meanings(session, meanings, {text.paper_id: text.updated_at for text in texts})


def count_lexemes(
    sessions: sessionmaker[Session], settings: Settings, least: int = LEAST_POOL
) -> bool:
    """Begin a new generation if the learned papers have doubled or the model is another one.

    Returns whether it did. With fewer than `least` papers there is nothing to count from.
    """
    model = MODEL_NAMES[settings.embedder]
    with transaction(sessions) as session:
        count, newest = count_meanings(session, model), get_generation(session)
        is_due = newest is None or newest.model != model or count >= 2 * newest.paper_count
        if count < least or not is_due:
            return False
        return open_generation(session, model, count)


def similar_papers(
    session: Session, settings: Settings, paper_id: int, limit: int
) -> list[tuple[int, float]]:
    """The stored papers most like this one, each work once: (id, score), best first.

    The score counts standard deviations above the ordinary paper. Papers that do not stand out are
    left out, so the answer may be short or empty, as it is for a paper that is not learned yet.
    """
    (paper,) = get_meanings(session, [paper_id])
    if paper.model != MODEL_NAMES[settings.embedder]:
        return []
    target = target_of_paper(session, paper)
    # A page cannot wait for the pool to be measured; what is to be expected orders just as well.
    scale = scale_of_shipped(target)
    like_query = build_like_query(Origin("", paper.model), target, scale, draw_shipped_line(scale))
    found = find_nearest(session, like_query, paper_id, 2 * limit + 4)
    works = get_works(session, [paper_id, *(i for i, _ in found)])
    seen, similar = {works.get(paper_id)}, []
    for found_id, score in found:
        if works[found_id] not in seen:
            seen.add(works[found_id])
            similar.append((found_id, (score - scale.middle) / scale.deviation))
    return similar[:limit]
