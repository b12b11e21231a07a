"""Which papers came, changed or went, so that what is kept of them in memory can keep up."""

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from service.platform.database.base import Base


class PaperChange(Base):
    """A paper that one transaction touched, in what previews read of it or in what it means.

    Written by triggers, whoever writes: `changed_in` is the number of the transaction, with which a
    later one can tell what it sees and an earlier one did not. Kept for two days.
    """

    __tablename__ = "paper_changes"

    changed_in: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    paper_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
