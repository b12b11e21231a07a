"""Queries on gates: which hosts have refused us until when, and opening one again."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from service.papers.store.models import Gate


def is_closed() -> ColumnElement[bool]:
    """Return the condition that a gate's host has refused us, and no request is sent yet."""
    return (Gate.reason != "") & (Gate.next_at > func.clock_timestamp())


def list_closed_gates(session: Session) -> Sequence[Gate]:
    """Return the closed gates by name; the times are those of the database's clock."""
    return session.scalars(select(Gate).where(is_closed()).order_by(Gate.name)).all()


def reopen_gate(session: Session, name: str) -> bool:
    """Open a gate and return whether it was closed. The next refusal in a row closes it longer."""
    opened = session.scalar(
        update(Gate)
        .where(Gate.name == name, is_closed())
        .values(next_at=func.clock_timestamp(), reason="")
        .returning(Gate.name)
    )
    return opened is not None
