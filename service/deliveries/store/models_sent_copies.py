"""The tables of what was sent: each mail's HTML as it went out, told once where mails share it."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from service.platform.database.base import Base


class MailPart(Base):
    """A stretch of HTML that many mails show, named by a hash of it."""

    __tablename__ = "mail_parts"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    body: Mapped[bytes]


class MailCopyRow(Base):
    """How a mail's HTML is put together, and the SHA-256 of what that must give."""

    __tablename__ = "mail_copies"

    delivery_id: Mapped[int] = mapped_column(
        ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    content_hash: Mapped[bytes]
    recipe: Mapped[bytes]
    created_at: Mapped[datetime]
