"""What every table shares: naming of constraints, column types, and the states as database enums."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Enum,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
    any_,
    cast,
    literal,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase

from service.papers.domain.types import (
    AnnounceType,
    BatchState,
    BounceVerdict,
    BreakerState,
    Cadence,
    ClauseKind,
    DeliveryKind,
    DeliveryState,
    EditionState,
    OpinionKind,
    PaperEventKind,
    SubscriberState,
    SuppressionReason,
    TopicChangeKind,
)


class WrittenJson(TypeDecorator[Any]):
    """A `jsonb` column whose values may have been written as text, read back as what they say.

    Taken apart into jsonb, a digest is twice as long as its text, and takes Postgres three times as
    long to store: it was most of what a row cost the server. So the rows of an edition hold their
    digest as one JSON string. Objects are written and read as ever.
    """

    impl = JSONB
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002  # SQLAlchemy gives it
        return json.loads(value) if isinstance(value, str) else value


NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy reads a plain dict here
        int: BigInteger,
        str: Text,
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(Text),
        list[int]: ARRAY(BigInteger),
        dict[str, Any]: JSONB,
        bytes: LargeBinary,
    }


def _enum(states: type[StrEnum], name: str) -> Enum:
    """A Postgres enum that holds the values ("replace-cross"), not Python's member names."""
    return Enum(states, name=name, values_callable=lambda members: [m.value for m in members])


announce_type = _enum(AnnounceType, "announce_type")
batch_state = _enum(BatchState, "batch_state")
subscriber_state = _enum(SubscriberState, "subscriber_state")
cadence_type = _enum(Cadence, "cadence")
edition_state = _enum(EditionState, "edition_state")
delivery_kind = _enum(DeliveryKind, "delivery_kind")
delivery_state = _enum(DeliveryState, "delivery_state")
paper_event_kind = _enum(PaperEventKind, "paper_event_kind")
suppression_reason = _enum(SuppressionReason, "suppression_reason")
opinion_kind = _enum(OpinionKind, "opinion_kind")
topic_change_kind = _enum(TopicChangeKind, "topic_change_kind")
breaker_state = _enum(BreakerState, "breaker_state")
bounce_verdict = _enum(BounceVerdict, "bounce_verdict")
clause_kind = _enum(ClauseKind, "clause_kind")


# Arrays as Postgres writes them, for `CAST(:name AS type[])`: the driver looks at each element of a
# list by itself, three times, which took longer than many a statement over a window's rows.


def write_numbers(numbers: Iterable[int]) -> str:
    """Integers as an array's text."""
    return f"{{{','.join(map(str, numbers))}}}"


def write_texts(texts: Iterable[str | None]) -> str:
    """Any texts as an array's text, also those of enums and times; None is NULL."""
    return "{" + ",".join(["NULL" if one is None else _quote(one) for one in texts]) + "}"


def _quote(text: str) -> str:
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def write_octets(values: Iterable[bytes]) -> str:
    """Octets as an array's text."""
    return "{" + ",".join([f'"\\\\x{one.hex()}"' for one in values]) + "}"


def is_among(column: Any, ids: Iterable[int]) -> ColumnElement[bool]:
    """`column = ANY (ids)`: one parameter for a thousand ids, where IN writes a thousand."""
    written = literal(write_numbers(ids), Text)
    condition: ColumnElement[bool] = column == any_(cast(written, ARRAY(BigInteger)))
    return condition
