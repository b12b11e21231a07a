"""Upsert, recompile and prune compiled topics and their clauses; each distinct one is stored once.

Every way to save a topic goes through `save_compiled_topics`. Rows that plain SQL inserted have no
`canonical_id`; `compile_missing` finds them. A compiled form from another version of the compiler,
or of PostgreSQL with other dictionaries, is recompiled on use or by `recompile_outdated`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256

from sqlalchemy import ARRAY, ColumnElement, LargeBinary, cast, func, select, text, update
from sqlalchemy.orm import Session

from service.platform.database.text_formats import is_among
from service.topics.domain.language.syntax_tree import QueryError
from service.topics.domain.matching import compiled
from service.topics.domain.types import ClauseKind
from service.topics.store.models import Clause, CompiledTopic, Topic
from service.topics.store.to_sql import fetch_lexemes

# Advisory lock: shared to save or read compiled topics, exclusive to prune them.
_FORMS_LOCK = 20592_13
# Clause for a stored text that no longer parses: it finds nothing, and no topic can contain it.
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
    """Return the current version of compiled forms: the compiler's and PostgreSQL's combined."""
    server = session.connection().dialect.server_version_info or (0,)
    return compiled.COMPILER_VERSION * 1000 + int(server[0])


def lock_compiled_shared(session: Session) -> None:
    """Take the shared advisory lock, so that until commit no compiled topic is pruned."""
    session.execute(select(func.pg_advisory_xact_lock_shared(_FORMS_LOCK)))


def save_compiled_topics(session: Session, texts: Iterable[str]) -> dict[str, int]:
    """Return canonical text -> row id for `texts`; missing or outdated ones are compiled first."""
    wanted = set(texts)
    if not wanted:
        return {}
    lock_compiled_shared(session)
    found = _find(session, CompiledTopic, wanted)
    lacking = wanted - found.keys()
    if lacking:
        _insert_compiled(session, lacking)
        found |= _find(session, CompiledTopic, lacking)
    return found


def _find(
    session: Session, table: type[CompiledTopic | Clause], texts: Iterable[str]
) -> dict[str, int]:
    """Return text -> id of the rows whose compiled form is current."""
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
    clauses_of = {each: _split(each) for each in texts}
    clauses = {clause.removeprefix("-") for parts in clauses_of.values() for clause in parts}
    numbers = _save_clauses(session, clauses - {compiled.DEFAULT_ANNOUNCEMENTS})
    ordered = sorted(clauses_of)
    session.execute(
        _INSERT_COMPILED,
        {
            "digests": [_digest(each) for each in ordered],
            "texts": ordered,
            "forms": [
                f"{{{','.join(str(compiled.number_of(part, numbers)) for part in clauses_of[each])}}}"
                for each in ordered
            ],
            "version": form_version(session),
        },
    )


def _split(canonical: str) -> tuple[str, ...]:
    """Return the clauses of a topic; `_NOTHING` if unreadable, so that it stops no edition."""
    parts = compiled.split_topic(canonical)
    try:
        for clause in parts:
            for each in compiled.iterate_inner_clauses(clause):
                # Without lexemes, to check only whether the clause can be parsed.
                compiled.compile_clause(each, defaultdict(dict))
    except QueryError:
        return (compiled.DEFAULT_ANNOUNCEMENTS, _NOTHING)
    return parts


def _save_clauses(session: Session, clauses: set[str]) -> dict[str, int]:
    """Return clause -> row id. Clauses inside groups are saved first, as groups store their ids."""
    groups = {clause for clause in clauses if compiled.is_group(clause)}
    inner = {each for group in groups for each in compiled.iterate_inner_clauses(group)}
    numbers = _save_plain(session, (clauses - groups) | inner)
    found = _find(session, Clause, groups)
    forms = {group: compiled.compile_group(group, numbers) for group in groups - found.keys()}
    _insert_clauses(session, forms)
    return numbers | found | _find(session, Clause, forms)


def _save_plain(session: Session, clauses: set[str]) -> dict[str, int]:
    found = _find(session, Clause, clauses)
    lacking = clauses - found.keys()
    lexicon = fetch_lexemes(session, compiled.clause_texts(lacking))
    _insert_clauses(session, {each: _compile(each, lexicon) for each in lacking})
    return found | _find(session, Clause, lacking)


def _compile(clause: str, lexicon: compiled.Lexicon) -> compiled.CompiledClause:
    if clause == _NOTHING:
        return compiled.CompiledClause(ClauseKind.PHRASE, "any")
    return compiled.compile_clause(clause, lexicon)


def _insert_clauses(session: Session, forms: dict[str, compiled.CompiledClause]) -> None:
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
    """Compile topics without a compiled form and link them to it; returns how many distinct texts.

    Takes up to `most` distinct texts, of all subscribers or of some.
    """
    lock_compiled_shared(session)
    is_new: list[ColumnElement[bool]] = [Topic.canonical_id.is_(None)]
    if subscriber_ids is not None:
        is_new.append(is_among(Topic.subscriber_id, subscriber_ids))
    texts = session.scalars(select(Topic.canonical).where(*is_new).distinct().limit(most)).all()
    if texts:
        numbers = save_compiled_topics(session, texts)
        session.execute(
            update(Topic)
            .where(*is_new, Topic.canonical == CompiledTopic.text)
            .where(is_among(CompiledTopic.id, numbers.values()))
            .values(canonical_id=CompiledTopic.id)
            .execution_options(synchronize_session=False)
        )
    return len(texts)


def recompile_outdated(session: Session, most: int) -> int:
    """Recompile up to `most` topics whose compiled form is outdated; returns how many."""
    lock_compiled_shared(session)
    is_old = CompiledTopic.version != form_version(session)
    old = session.scalars(select(CompiledTopic.text).where(is_old).limit(most)).all()
    save_compiled_topics(session, old)
    return len(old)


def prune_compiled(session: Session) -> int:
    """Delete compiled topics without a topic, and clauses without a topic; returns how many rows.

    Does nothing while another transaction holds the advisory lock; the next run does it then.
    """
    if not session.scalar(select(func.pg_try_advisory_xact_lock(_FORMS_LOCK))):
        return 0
    deleted = [session.execute(each) for each in (_DELETE_COMPILED, _DELETE_CLAUSES)]
    return sum(each.rowcount for each in deleted)  # type: ignore[attr-defined]


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
