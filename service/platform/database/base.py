"""What every table shares: naming of constraints, column types, and the states as database enums."""

import json
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase


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


def enum_type(states: type[StrEnum], name: str) -> Enum:
    """A Postgres enum that holds the values ("replace-cross"), not Python's member names."""
    return Enum(states, name=name, values_callable=lambda members: [m.value for m in members])


# Arrays as Postgres writes them, for `CAST(:name AS type[])`: the driver looks at each element of a
# list by itself, three times, which took longer than many a statement over a window's rows.
