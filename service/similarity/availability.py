"""Whether texts can be compared here: `like:` and similar papers are an extra of the installation.

Two things are needed: the packages of the extra `similarity` (`packages.py`), and the tables of vectors, which
`paperboy migrate` makes where the database has pgvector. Everything else works without them.
"""

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from service.platform.database.pgvector import LEAST_VERSION, read_pgvector
from service.similarity.packages import INSTALL, has_packages

# What somebody who writes a topic needs to know.
NOT_HERE: Final = "This site cannot compare texts (like:); ask its operator, or use words."

_HAS_TABLES = text("SELECT to_regclass('paper_meanings') IS NOT NULL")


def has_tables(session: Session) -> bool:
    """Return whether the database has the tables of vectors."""
    return bool(session.scalar(_HAS_TABLES))


def is_available(session: Session) -> bool:
    """Return whether `like:` clauses and similar papers work here and now."""
    return has_packages() and has_tables(session)


def describe_missing(session: Session) -> tuple[str, str] | None:
    """Return what is missing and what the operator must do, packages first; None for nothing."""
    if not has_packages():
        return "the extra is not installed", f"Run: {INSTALL}"
    if has_tables(session):
        return None
    pgvector = read_pgvector(session)
    command = pgvector.needed_command
    if not command:
        return "the database has no tables of vectors yet", "Run: paperboy migrate"
    hint = f"As a superuser run: {command}; then: paperboy migrate"
    if pgvector.installed:
        problem = f"pgvector {pgvector.installed} is older than {LEAST_VERSION}"
    elif pgvector.offered:
        problem = "the database has no extension vector, which only a superuser can create"
    else:
        problem = "this PostgreSQL has no pgvector"
        hint = f"Install pgvector {LEAST_VERSION} or newer on its server. {hint}"
    return problem, hint
