"""Find the stored papers of a reader's references: by identifier, then by title."""

from collections.abc import Sequence

from sqlalchemy import Text, cast, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from service.papers.domain.references import Reference, title_key
from service.papers.domain.tsvector import PARSED_AS, SEPARATORS
from service.papers.store.models import Paper, PaperIdentifier
from service.platform.database.text_formats import write_texts

# Titles in one statement, and stored titles with all words of one that are compared with it.
_TITLES_AT_ONCE, _MOST_CANDIDATES = 250, 10
# Shorter titles ("Reply", "Introduction") name no paper.
_SHORTEST_TITLE = 12

_CANDIDATES = text("""
    SELECT asked.place, near.id, near.title
    FROM unnest(CAST(:titles AS text[])) WITH ORDINALITY AS asked (title, place)
    CROSS JOIN LATERAL (
        SELECT id, title FROM papers
        WHERE title_lexemes @@ plainto_tsquery('english', translate(asked.title, :from, :to))
        ORDER BY length(title), id LIMIT :most
    ) AS near
""")


def match_references(session: Session, references: Sequence[Reference]) -> dict[int, int]:
    """Return the id of the stored paper of each reference that has one, by the index in the list.

    A title counts where all its letters and digits agree, in any case and without accents.
    """
    found = _match_names(session, references)
    rest = [n for n in range(len(references)) if n not in found]
    keys = {n: title_key(references[n].title) for n in rest}
    titled = [n for n in rest if len(keys[n]) >= _SHORTEST_TITLE]
    for start in range(0, len(titled), _TITLES_AT_ONCE):
        batch = titled[start : start + _TITLES_AT_ONCE]
        rows = session.execute(
            _CANDIDATES,
            {
                "titles": write_texts(references[n].title.replace("\0", "") for n in batch),
                "from": SEPARATORS,
                "to": PARSED_AS,
                "most": _MOST_CANDIDATES,
            },
        )
        for place, paper_id, title in rows:
            number = batch[place - 1]
            if number not in found and title_key(title) == keys[number]:
                found[number] = paper_id
    return found


def _match_names(session: Session, references: Sequence[Reference]) -> dict[int, int]:
    names = sorted({name for reference in references for name in reference.names})
    if not names:
        return {}
    wanted = func.unnest(cast(names, ARRAY(Text))).column_valued("name")
    by_name = dict(
        session.execute(
            select(PaperIdentifier.value, func.min(PaperIdentifier.paper_id))
            .where(PaperIdentifier.value.in_(select(wanted)))
            .group_by(PaperIdentifier.value)
        ).all()
    )
    by_name |= dict(
        session.execute(select(Paper.key, Paper.id).where(Paper.key.in_(select(wanted)))).all()
    )
    return {
        number: by_name[name]
        for number, reference in enumerate(references)
        for name in reversed(reference.names)
        if name in by_name
    }
