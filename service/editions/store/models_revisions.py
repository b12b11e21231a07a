"""The table of replacements: which edition told of which new version of a paper."""

from sqlalchemy import ForeignKey, SmallInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.deliveries.domain.recipients import Cadence
from service.platform.database.base import Base, enum_type


class EditionRevision(Base):
    """A newer version of a paper, for topics that want replacements. Each is in one edition of a cadence."""

    __tablename__ = "edition_revisions"
    __table_args__ = (UniqueConstraint("cadence", "paper_id", "version"),)

    edition_id: Mapped[int] = mapped_column(
        ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True
    )
    paper_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(SmallInteger)
    cadence: Mapped[Cadence] = mapped_column(enum_type(Cadence, "cadence"))
