"""The schema: models and migrations agree, each revision goes both ways, two may run at once."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import Engine, Enum, event, inspect, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session
from support.servers.databases import TestServers, drop_database, with_database

from service.deliveries.domain.recipients import Cadence, SubscriberState, SuppressionReason, Timing
from service.deliveries.domain.states import BounceVerdict, DeliveryKind, DeliveryState
from service.editions.domain.states import EditionState
from service.operations.store.tables import Base
from service.papers.domain.types import AnnounceType, BatchState, PaperEventKind, SourceAnswer
from service.platform.database.base import NAMING_CONVENTION
from service.platform.database.engine import make_engine
from service.platform.database.migrate import (
    MIGRATIONS,
    alembic_config,
    current_revision,
    downgrade,
    head_revision,
    upgrade,
)
from service.sending.domain.provider_limits import BreakerState
from service.subscribers.domain.types import Feedback, SubmissionState
from service.topics.domain.types import ClauseKind, TopicChangeKind

ROOT = Path(__file__).resolve().parents[3]
REVISIONS = [step.revision for step in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][::-1]


@pytest.fixture
def empty_url(servers: TestServers, worker: str) -> Iterator[str]:
    """A database without any schema."""
    name = sql.Identifier(f"empty_{servers.run}_{worker}")
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield with_database(servers.database_url, f"empty_{servers.run}_{worker}")
        drop_database(admin, f"empty_{servers.run}_{worker}")


# Partitions are no tables of the models.
PARTITIONS = "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"


def snapshot(url: str) -> dict[str, Any]:
    """Return everything that a schema consists of, by name; the first of each is the table."""
    queries = {
        "columns": """SELECT table_name, column_name, data_type, udt_name, is_nullable,
            column_default, generation_expression FROM information_schema.columns
            WHERE table_schema = 'public'""",
        "constraints": """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
        "indexes": """SELECT tablename, indexname, indexdef FROM pg_indexes
            WHERE schemaname = 'public'""",
        "enums": """SELECT typname, enumlabel, enumsortorder FROM pg_enum
            JOIN pg_type ON pg_type.oid = enumtypid""",
        "sequences": "SELECT sequencename, data_type::text FROM pg_sequences",
    }
    with psycopg.connect(url) as connection:
        partitions = {name for (name,) in connection.execute(PARTITIONS)}
        return {
            name: sorted(str(row) for row in connection.execute(query) if row[0] not in partitions)
            for name, query in queries.items()
        }


def test_models_and_migrations_agree(engine: Engine) -> None:
    with engine.connect() as connection:
        partitions = {name for (name,) in connection.execute(text(PARTITIONS))}
        opts: dict[str, Any] = {
            "compare_type": True,
            "compare_server_default": True,
            "include_name": lambda name, *_: name not in partitions,
        }
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, Base.metadata) == []


def test_models_and_migrations_make_the_same_schema_to_the_letter(
    empty_url: str, database_url: str
) -> None:
    """Compare also what Alembic does not: conditions of indexes, checks, enums, expressions."""
    engine = make_engine(empty_url)
    Base.metadata.create_all(engine)
    engine.dispose()
    migrated = snapshot(database_url)
    made = snapshot(empty_url)
    for part, found in migrated.items():
        assert [x for x in found if "alembic_version" not in x] == made[part], part


@pytest.mark.parametrize("revision", REVISIONS)
def test_each_revision_goes_up_down_and_up_again(empty_url: str, revision: str) -> None:
    before = REVISIONS[REVISIONS.index(revision) - 1] if revision != REVISIONS[0] else "base"
    if before != "base":
        upgrade(empty_url, before)
    clean = snapshot(empty_url)
    upgrade(empty_url, revision)
    made = snapshot(empty_url)
    downgrade(empty_url, before)
    left = snapshot(empty_url)
    if before == "base":
        left = {part: [x for x in found if "alembic" not in x] for part, found in left.items()}
    assert left == clean
    upgrade(empty_url, revision)
    assert snapshot(empty_url) == made
    assert current_revision(empty_url) == revision


def test_the_revisions_are_one_line_and_each_says_how_to_go_back() -> None:
    script = ScriptDirectory(str(MIGRATIONS))
    assert script.get_heads() == [REVISIONS[-1]] == [head_revision()]
    for step in script.walk_revisions():
        assert isinstance(step.down_revision, str | None)
        assert "op." in Path(step.path).read_text().partition("def downgrade")[2]


def test_an_empty_database_has_no_revision(empty_url: str) -> None:
    assert current_revision(empty_url) is None


def test_a_migrated_database_is_at_head_and_migrating_again_changes_nothing(
    database_url: str,
) -> None:
    assert current_revision(database_url) == head_revision()
    before = snapshot(database_url)
    upgrade(database_url)
    assert snapshot(database_url) == before


ENUMS = {
    "announce_type": AnnounceType,
    "batch_state": BatchState,
    "source_answer": SourceAnswer,
    "subscriber_state": SubscriberState,
    "cadence": Cadence,
    "clause_kind": ClauseKind,
    "edition_state": EditionState,
    "delivery_kind": DeliveryKind,
    "delivery_state": DeliveryState,
    "suppression_reason": SuppressionReason,
    "timing": Timing,
    "paper_event_kind": PaperEventKind,
    "opinion_kind": Feedback,
    "submission_state": SubmissionState,
    "topic_change_kind": TopicChangeKind,
    "bounce_verdict": BounceVerdict,
    "breaker_state": BreakerState,
}


def test_the_databases_enums_hold_the_states_in_their_order(session: Session) -> None:
    rows = session.execute(
        text(
            "SELECT typname, array_agg(enumlabel::text ORDER BY enumsortorder) FROM pg_enum"
            " JOIN pg_type ON pg_type.oid = enumtypid GROUP BY typname"
        )
    )
    stored = {name: labels for name, labels in rows}  # noqa: C416  # rows are not pairs to dict()
    assert stored == {name: [one.value for one in states] for name, states in ENUMS.items()}
    all_states = {
        column.type.enum_class
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, Enum)
    }
    assert set(ENUMS.values()) == all_states


def test_every_constraint_and_index_is_named_by_the_convention(engine: Engine) -> None:
    inspector = inspect(engine)
    with engine.connect() as connection:
        partitions = {name for (name,) in connection.execute(text(PARTITIONS))}
    for table in inspector.get_table_names():
        if table == "alembic_version" or table in partitions:
            continue
        assert inspector.get_pk_constraint(table)["name"] == f"pk_{table}"
        for one in inspector.get_unique_constraints(table):
            assert one["name"] == f"uq_{table}_{'_'.join(one['column_names'])}"
        for key in inspector.get_foreign_keys(table):
            columns = "_".join(key["constrained_columns"])
            assert key["name"] == f"fk_{table}_{columns}_{key['referred_table']}"
        for check in inspector.get_check_constraints(table):
            assert str(check["name"]).startswith(f"ck_{table}_")
        for index in inspector.get_indexes(table):
            assert str(index["name"]).startswith((f"ix_{table}_", f"uq_{table}_"))
    assert Base.metadata.naming_convention == NAMING_CONVENTION


def test_every_moment_is_stored_with_its_zone(session: Session) -> None:
    naive = session.execute(
        text(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'"
        )
    ).all()
    assert naive == []


MIGRATE = "import sys; from service.platform.database.migrate import upgrade; upgrade(sys.argv[1])"


def test_two_processes_that_migrate_at_once_both_end_well(empty_url: str) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, empty_url], cwd=ROOT, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in started:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, b"")
    assert current_revision(empty_url) == head_revision()


@pytest.mark.slow
def test_a_second_migration_waits_for_the_first_however_long_that_takes(empty_url: str) -> None:
    upgrade(empty_url)
    done = threading.Thread(target=upgrade, args=(empty_url,))
    with psycopg.connect(empty_url, autocommit=True) as first:
        first.execute("SELECT pg_advisory_lock(20592, 1)")
        done.start()
        # Longer than a migration may wait for the lock of a table.
        time.sleep(4.6)
        assert done.is_alive()
    done.join(timeout=10)
    assert not done.is_alive()


def test_a_migration_gives_up_early_on_a_table_that_is_in_use(database_url: str) -> None:
    """The lock timeout does not apply to waiting for another migration."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        upgrade(database_url)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    locking = [s for s in statements if s.startswith("SET") or "advisory" in s]
    assert locking == [
        "SET lock_timeout = 0",
        "SELECT pg_advisory_lock(20592, 1)",
        "SET lock_timeout = '4s'",
        "SELECT pg_advisory_unlock(20592, 1)",
    ]


def test_a_migration_that_fails_says_why_and_leaves_nothing_behind(empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE signals (id int)")
        with pytest.raises(ProgrammingError, match='relation "signals" already exists'):
            upgrade(empty_url)
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        assert {name for (name,) in tables} <= {"signals", "alembic_version"}
        assert connection.execute("SELECT pg_try_advisory_lock(20592, 1)").fetchone() == (True,)
        connection.execute("SELECT pg_advisory_unlock_all()")
        connection.execute("DROP TABLE signals")
    upgrade(empty_url)
    assert current_revision(empty_url) == head_revision()


def test_a_password_with_a_percent_sign_reaches_alembic_whole() -> None:
    url = "postgresql://reader:50%25@host/name"
    assert alembic_config(url).get_main_option("sqlalchemy.url") == url
