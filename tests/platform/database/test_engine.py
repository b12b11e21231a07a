"""Database connections: in UTC, with a lock timeout, and atomic transactions."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from structlog.testing import capture_logs

from service.deliveries.domain.recipients import SuppressionReason
from service.platform.database.engine import (
    OUT_OF_TIME,
    begin_reading,
    limit_time,
    log_on_commit,
    make_engine,
    make_sessions,
    transaction,
)
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.subscribers.store.models import Suppression
from service.subscribers.store.suppressions import insert_suppression, is_suppressed
from workers.runtime import open_runtime

NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
KEYS = ("a secret",)


def suppress(engine: Engine, *, fails: bool) -> None:
    with transaction(make_sessions(engine)) as session:
        insert_suppression(session, "a@b.c", KEYS, SuppressionReason.OPERATOR, "", NOW)
        if fails:
            raise LookupError("something else")


def test_a_transaction_is_atomic(engine: Engine) -> None:
    with pytest.raises(LookupError):
        suppress(engine, fails=True)
    with transaction(make_sessions(engine)) as session:
        assert not is_suppressed(session, "a@b.c", KEYS)
    suppress(engine, fails=False)
    with transaction(make_sessions(engine)) as session:
        assert is_suppressed(session, "a@b.c", KEYS)


def test_a_value_may_be_read_after_its_transaction(engine: Engine) -> None:
    suppress(engine, fails=False)
    with transaction(make_sessions(engine)) as session:
        row = session.query(Suppression).one()
    assert row.created_at == NOW
    assert row.created_at.utcoffset() == UTC.utcoffset(None)


def test_every_session_is_in_utc_and_waits_ten_seconds_for_a_lock_at_most(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.execute(text("SHOW timezone")).scalar_one() == "UTC"
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "10s"


def test_a_connection_that_died_in_the_pool_is_replaced(engine: Engine, database_url: str) -> None:
    with engine.connect() as connection:
        number = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [number])
    with engine.connect() as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != number


def test_a_missing_database_is_an_error_with_its_name(database_url: str) -> None:
    engine = make_engine(f"{database_url}".replace("test_", "nowhere_", 1))
    with pytest.raises(OperationalError, match="nowhere_"):
        engine.connect()
    engine.dispose()


def test_a_line_is_logged_when_its_change_is_committed_and_not_before(engine: Engine) -> None:
    with capture_logs() as lines:
        with transaction(make_sessions(engine)) as session:
            log_on_commit(session, get_logger("x"), "changed", row=1)
            assert lines == []
        assert [(line["event"], line["row"]) for line in lines] == [("changed", 1)]


def test_a_change_that_is_rolled_back_is_not_logged(engine: Engine) -> None:
    def change() -> None:
        with transaction(make_sessions(engine)) as session:
            log_on_commit(session, get_logger("x"), "changed", row=1)
            raise LookupError

    with capture_logs() as lines, pytest.raises(LookupError):
        change()
    assert lines == []


@pytest.mark.parametrize("is_for_many", [True, False])
def test_a_statement_of_one_among_many_gets_no_parallel_workers(
    database_url: str, is_for_many: bool
) -> None:
    engine = make_engine(database_url, is_for_many=is_for_many)
    with engine.begin() as connection:
        # A plan with Gather wherever one is possible.
        connection.execute(text("SET LOCAL debug_parallel_query = on"))
        plan = connection.scalars(text("EXPLAIN SELECT count(*) FROM papers")).all()
    engine.dispose()
    assert any("Gather" in line for line in plan) is not is_for_many


def test_a_reading_transaction_sees_one_state_and_writes_nothing(database_url: str) -> None:
    engine = make_engine(database_url, pool_size=1)
    sessions = make_sessions(engine)
    settings = text(
        "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
    )
    with transaction(sessions) as session:
        begin_reading(session)
        assert session.execute(settings).one() == ("repeatable read", "on")
    # The same connection, for ordinary work.
    with transaction(sessions) as session:
        assert session.execute(settings).one() == ("read committed", "off")
    engine.dispose()


@pytest.fixture
def limited(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, most_seconds=1)
    yield engine
    engine.dispose()


def sqlstate_of(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", ""))


def test_a_statement_over_the_limit_is_cancelled(limited: Engine) -> None:
    with pytest.raises(OperationalError) as event, transaction(make_sessions(limited)) as session:
        session.execute(text("SELECT pg_sleep(30)"))
    assert sqlstate_of(event.value) in OUT_OF_TIME
    # The connection lives on.
    with transaction(make_sessions(limited)) as session:
        assert session.execute(text("SELECT 1")).scalar_one() == 1


def test_an_idle_transaction_is_ended_and_its_locks_with_it(
    limited: Engine, database_url: str
) -> None:
    with make_sessions(limited)() as session:
        session.execute(text("LOCK TABLE papers"))
        # Another session gets the lock once the idle transaction has lost it.
        with psycopg.connect(database_url, options="-c lock_timeout=20000") as other:
            other.execute("LOCK TABLE papers")
        with pytest.raises(DBAPIError) as event:
            session.execute(text("SELECT 1"))
    assert sqlstate_of(event.value) in OUT_OF_TIME


def test_a_transaction_may_have_a_limit_of_its_own(limited: Engine) -> None:
    with transaction(make_sessions(limited)) as session:
        limit_time(session, 30)
        session.execute(text("SELECT pg_sleep(1.5)"))
    with limited.connect() as connection:
        assert limits_of(connection) == ("1s", "2s")


def limits_of(connection: Connection) -> tuple[str, str]:
    names = ("statement_timeout", "idle_in_transaction_session_timeout")
    first, second = (connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names)
    return first, second


def test_commands_and_migrations_have_no_limit(engine: Engine) -> None:
    with engine.connect() as connection:
        assert limits_of(connection) == ("0", "0")


def test_workers_have_a_minute(settings: Settings) -> None:
    runtime = open_runtime(settings)
    with transaction(runtime.sessions) as session:
        assert limits_of(session.connection()) == ("1min", "1min")
    runtime.sessions.kw["bind"].dispose()
