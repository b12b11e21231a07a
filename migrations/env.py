"""Alembic's environment: runs the migrations, one process at a time, with short lock timeouts."""

from alembic import context
from sqlalchemy import Connection, text

from service.operations.store.tables import Base
from service.platform.database.engine import make_engine


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
    finally:
        # Without the rollback, the unlock would fail in an aborted transaction and hide the cause.
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(20592, 1)"))
        connection.commit()


engine = make_engine(context.config.get_main_option("sqlalchemy.url") or "")
try:
    with engine.connect() as opened:
        run(opened)
finally:
    engine.dispose()
