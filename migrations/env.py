"""Alembic's environment: runs the migrations, one process at a time, with short lock timeouts."""

from pathlib import Path

from alembic import context
from sqlalchemy import Connection, text

from service.operations.store.tables import Base
from service.platform.database.engine import make_engine
from service.platform.database.pgvector import create_pgvector

SIMILARITY = Path(__file__).with_name("similarity.sql")


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    # An advisory lock lets one process migrate at a time: the second waits without a timeout, and
    # finds nothing to do.
    connection.execute(text("SET lock_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_lock(20592, 1)"))
    # A migration that waits for a table lock blocks all later queries on the table: give up early.
    connection.execute(text("SET lock_timeout = '4s'"))
    connection.commit()
    try:
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
        if context.get_context().get_current_revision() == context.get_head_revision():
            add_similarity(connection)
        connection.commit()
    finally:
        # Without the rollback, the unlock would fail in an aborted transaction and hide the cause.
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(20592, 1)"))
        connection.commit()


def add_similarity(connection: Connection) -> None:
    """Make the tables of vectors if they are missing and the database has pgvector, now or since."""
    is_made = connection.scalar(text("SELECT to_regclass('paper_meanings') IS NOT NULL"))
    if not is_made and create_pgvector(connection):
        connection.exec_driver_sql(SIMILARITY.read_text(encoding="utf-8"))


engine = make_engine(context.config.get_main_option("sqlalchemy.url") or "")
try:
    with engine.connect() as opened:
        run(opened)
finally:
    engine.dispose()
