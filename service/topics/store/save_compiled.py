"""Canonical topics and their clauses: stored once, compiled when they are saved, renewed when met.

Every way to save a topic goes through `save_compiled_topics`. Rows that came past it (plain SQL) have no
`canonical_id` and are found by `compile_missing`; forms that another version of the compiler made, or
another PostgreSQL with other dictionaries, are made anew when they are met or by `recompile_outdated`.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from sqlalchemy import ARRAY, ColumnElement, LargeBinary, cast, func, select, text, update
from sqlalchemy.orm import Session

from service.platform.database.pg_arrays import is_among
from service.topics.domain.language.syntax_tree import QueryError
from service.topics.domain.matching.compiled import (
    DEFAULT_ANNOUNCEMENTS,
    FORM_VERSION,
    CompiledClause,
    Lexicon,
    clause_texts,
    compile_clause,
    compile_group,
    is_group,
    iterate_inner_clauses,
    number_of,
    split_topic,
)
from service.topics.domain.types import ClauseKind
from service.topics.store.models import Clause, CompiledTopic, Topic
from service.topics.store.to_sql import fetch_lexemes

# Held (shared) by whoever saves or reads forms, so that none is pruned meanwhile.
_FORMS_LOCK = 20592_13
# The clause of a text that is no topic any more. It finds nothing, and no topic can be written so.
_NOTHING = "?"

_INSERT_CLAUSES = text("""
    INSERT INTO clauses (digest, text, kind, keys, version)
    SELECT digest, text, kind::clause_kind, keys, :version
    FROM unnest(CAST(:digests AS bytea[]), CAST(:texts AS text[]), CAST(:kinds AS text[]),
        CAST(:keys AS text[])) AS new (digest, text, kind, keys)
    ORDER BY digest
    ON CONFLICT (digest) DO UPDATE
    SET kind = excluded.kind, keys = excluded.keys, version = excluded.version
    WHERE clauses.version <> excluded.version
""")
_INSERT_COMPILED = text("""
    INSERT INTO canonicals (digest, text, form, version)
    SELECT digest, text, form::bigint[], :version
    FROM unnest(CAST(:digests AS bytea[]), CAST(:texts AS text[]), CAST(:forms AS text[]))
        AS new (digest, text, form)
    ORDER BY digest
    ON CONFLICT (digest) DO UPDATE SET form = excluded.form, version = excluded.version
    WHERE canonicals.version <> excluded.version
""")


def form_version(session: Session) -> int:
    """What forms that are good today are marked with: our compiler, and whose dictionaries it asked."""
    server = session.connection().dialect.server_version_info or (0,)
    return FORM_VERSION * 1000 + int(server[0])


def lock_compiled_shared(session: Session) -> None:
    """Until this transaction ends no form that it reads or saves is pruned."""
    session.execute(select(func.pg_advisory_xact_lock_shared(_FORMS_LOCK)))


def save_compiled_topics(session: Session, texts: Iterable[str]) -> dict[str, int]:
    """Canonical text -> its row's id, for each of `texts`; those that are not there yet are compiled."""
    wanted = set(texts)
    if not wanted:
        return {}
    lock_compiled_shared(session)
    found = _find(session, CompiledTopic, wanted)
    lacking = wanted - found.keys()
    if not lacking:
        return found
    _insert_compiled(session, lacking)
    return found | _find(session, CompiledTopic, lacking)


def _find(
    session: Session, table: type[CompiledTopic | Clause], texts: Iterable[str]
) -> dict[str, int]:
    """Text -> id of the rows whose form is good today."""
    digests = cast([_digest(each) for each in texts], ARRAY(LargeBinary))
    rows = session.execute(
        select(table.text, table.id).where(
            table.digest == func.any(digests), table.version == form_version(session)
        )
    )
    return dict(rows.all())


def _digest(canonical: str) -> bytes:
    return sha256(canonical.encode()).digest()


def _insert_compiled(session: Session, texts: Iterable[str]) -> None:
    split = {each: _split(each) for each in texts}
    clauses = {clause.removeprefix("-") for parts in split.values() for clause in parts}
    numbers = _save_clauses(session, clauses - {DEFAULT_ANNOUNCEMENTS})
    ordered = sorted(split)
    session.execute(
        _INSERT_COMPILED,
        {
            "digests": [_digest(each) for each in ordered],
            "texts": ordered,
            "forms": [
                f"{{{','.join(str(number_of(part, numbers)) for part in split[each])}}}"
                for each in ordered
            ],
            "version": form_version(session),
        },
    )


def _split(canonical: str) -> tuple[str, ...]:
    """The clauses of a topic. One unreadable row must not stop a morning: it is `_NOTHING`."""
    parts = split_topic(canonical)
    try:
        for clause in parts:
            for each in iterate_inner_clauses(clause):
                compile_clause(each, _Blank())
    except QueryError:
        return (DEFAULT_ANNOUNCEMENTS, _NOTHING)
    return parts


class _Blank(dict[str, dict[str, tuple[int, ...]]]):
    """A lexicon for finding out whether clauses can be read at all."""

    def __missing__(self, _: str) -> dict[str, tuple[int, ...]]:
        return {}


def _save_clauses(session: Session, clauses: set[str]) -> dict[str, int]:
    """Clause -> its row's id, those in groups included: they are saved first, for their numbers."""
    groups = {clause for clause in clauses if is_group(clause)}
    inner = {each for group in groups for each in iterate_inner_clauses(group)}
    numbers = _save_plain(session, (clauses - groups) | inner)
    found = _find(session, Clause, groups)
    forms = {group: compile_group(group, numbers) for group in groups - found.keys()}
    _insert_clauses(session, forms)
    return numbers | found | _find(session, Clause, forms)


def _save_plain(session: Session, clauses: set[str]) -> dict[str, int]:
    found = _find(session, Clause, clauses)
    lacking = clauses - found.keys()
    lexicon = fetch_lexemes(session, clause_texts(lacking))
    _insert_clauses(session, {each: _compile(each, lexicon) for each in lacking})
    return found | _find(session, Clause, lacking)


def _compile(clause: str, lexicon: Lexicon) -> CompiledClause:
    if clause == _NOTHING:
        return CompiledClause(ClauseKind.PHRASE, "any")
    return compile_clause(clause, lexicon)


def _insert_clauses(session: Session, forms: dict[str, CompiledClause]) -> None:
    if not forms:
        return
    session.execute(
        _INSERT_CLAUSES,
        {
            "digests": [_digest(each) for each in forms],
            "texts": list(forms),
            "kinds": [form.kind.value for form in forms.values()],
            "keys": [form.keys for form in forms.values()],
            "version": form_version(session),
        },
    )


def compile_missing(
    session: Session, most: int | None = None, subscriber_ids: Sequence[int] | None = None
) -> int:
    """Compile the texts of topics that point to none, and let those topics point to them.

    At most so many distinct texts, of all readers or of some; returns how many there were.
    """
    lock_compiled_shared(session)
    is_lost: list[ColumnElement[bool]] = [Topic.canonical_id.is_(None)]
    if subscriber_ids is not None:
        is_lost.append(is_among(Topic.subscriber_id, subscriber_ids))
    lost = session.scalars(select(Topic.canonical).where(*is_lost).distinct().limit(most)).all()
    if lost:
        numbers = save_compiled_topics(session, lost)
        session.execute(
            update(Topic)
            .where(*is_lost, Topic.canonical == CompiledTopic.text)
            .where(is_among(CompiledTopic.id, numbers.values()))
            .values(canonical_id=CompiledTopic.id)
            .execution_options(synchronize_session=False)
        )
    return len(lost)


def recompile_outdated(session: Session, most: int) -> int:
    """Compile anew up to `most` topics whose form is of another version; returns how many."""
    lock_compiled_shared(session)
    is_old = CompiledTopic.version != form_version(session)
    old = session.scalars(select(CompiledTopic.text).where(is_old).limit(most)).all()
    save_compiled_topics(session, old)
    return len(old)


def prune_compiled(session: Session) -> int:
    """Delete topics that no reader has any more, and clauses that no topic has; returns how many.

    Nothing where somebody is reading or saving just now: it is for the next time.
    """
    if not session.execute(select(func.pg_try_advisory_xact_lock(_FORMS_LOCK))).scalar_one():
        return 0
    orphans = session.execute(_DELETE_COMPILED).rowcount  # type: ignore[attr-defined]
    clauses = session.execute(_DELETE_CLAUSES).rowcount  # type: ignore[attr-defined]
    return int(orphans) + int(clauses)


_DELETE_COMPILED = text(
    "DELETE FROM canonicals AS c"
    " WHERE NOT EXISTS (SELECT FROM topics AS t WHERE t.canonical_id = c.id)"
)
_DELETE_CLAUSES = text(r"""
    WITH used AS (SELECT DISTINCT abs(number) AS id FROM canonicals, unnest(form) AS number),
    inside AS (
        SELECT DISTINCT abs(part::bigint) AS id
        FROM clauses JOIN used USING (id), string_to_table(keys, E'\t') AS part
        WHERE kind = 'group' AND part ~ '^-?[0-9]+$'
    )
    DELETE FROM clauses AS c
    WHERE NOT EXISTS (SELECT FROM used WHERE used.id = c.id)
    AND NOT EXISTS (SELECT FROM inside WHERE inside.id = c.id)
""")
