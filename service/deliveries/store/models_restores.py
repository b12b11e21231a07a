"""What a database knows of itself as one among its copies."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from service.platform.database.base import Base


class Installation(Base):
    """One row: a random name given when the tables were made. Backups have it, too."""

    __tablename__ = "installations"

    name: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())


class Restore(Base):
    """The operator's word that this database is a restored backup.

    Whatever was due up to `until` may have been sent by the time of which the backup knows nothing;
    `editions` are the newest dates of each cadence that were made then.
    """

    __tablename__ = "restores"

    id: Mapped[int] = mapped_column(primary_key=True)
    until: Mapped[datetime]
    editions: Mapped[dict[str, Any]]
    accepted_at: Mapped[datetime]
