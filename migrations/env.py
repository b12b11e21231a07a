"""Alembic's entry: runs on the connection or address it is given, with short lock waits."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text

from service.bounces.store import models as bounce_models  # noqa: F401  # tables register by themselves
from service.deliveries.store import models_sent_copies  # noqa: F401  # tables register by themselves
from service.editions.store import models_revisions  # noqa: F401  # tables register by themselves
from service.papers.store import models_paper_changes  # noqa: F401  # tables register by themselves
from service.platform.database import models  # noqa: F401  # tables register by themselves
from service.platform.database.base import Base
from service.platform.database.engine import make_engine
from service.sending.store import models_provider_limits  # noqa: F401  # tables register by themselves
from service.similarity.store import models as meaning_models  # noqa: F401  # tables register by themselves
from service.subscribers.store import models_feedback  # noqa: F401  # tables register by themselves


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    # Two processes that start together must not both migrate: the second waits, however long the
    # first takes, and finds it done.
    connection.execute(text("SET lock_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_lock(20592, 1)"))
    # A migration that waits for a table makes everybody behind it wait as well: give up early.
    connection.execute(text("SET lock_timeout = '4s'"))
    connection.commit()
    try:
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    finally:
        # After an error the transaction is aborted, and the unlock would hide the cause.
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(20592, 1)"))
        connection.commit()


engine = make_engine(context.config.get_main_option("sqlalchemy.url") or "")
try:
    with engine.connect() as opened:
        run(opened)
finally:
    engine.dispose()
