"""pgvector in the database: whether it is there, and who could add it.

It is no trusted extension, so a role that only owns its database cannot create it.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

# Which types `halfvec` and `sparsevec` came with.
LEAST_VERSION = "0.7"

_READ = text("""
    SELECT to_regtype('sparsevec') IS NOT NULL AS is_usable,
        coalesce((SELECT extversion FROM pg_extension WHERE extname = 'vector'), '') AS installed,
        coalesce((SELECT default_version FROM pg_available_extensions WHERE name = 'vector'), '')
            AS offered,
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
        current_database() AS database
""")
# insufficient_privilege; undefined_file and feature_not_supported where the server has no pgvector.
_CANNOT_CREATE = frozenset({"42501", "58P01", "0A000"})


@dataclass(frozen=True, slots=True)
class Pgvector:
    """The state of the extension; versions are empty where there is none."""

    is_usable: bool
    installed: str
    offered: str
    is_superuser: bool
    database: str

    @property
    def needed_command(self) -> str:
        """Return what a superuser must type; empty where `paperboy migrate` is enough."""
        if self.is_usable or (self.is_superuser and self.offered and not self.installed):
            return ""
        change = "ALTER EXTENSION vector UPDATE" if self.installed else "CREATE EXTENSION vector"
        return f"psql -d {self.database} -c '{change}'"


def read_pgvector(session: Session) -> Pgvector:
    return Pgvector(**session.execute(_READ).mappings().one())


def create_pgvector(connection: Connection) -> bool:
    """Create the extension if this role may; return whether the database can store vectors."""
    try:
        with connection.begin_nested():
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") not in _CANNOT_CREATE:
            raise
    return bool(connection.scalar(text("SELECT to_regtype('sparsevec') IS NOT NULL")))
