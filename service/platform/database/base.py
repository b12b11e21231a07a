"""The declarative base of all tables: constraint names, column types, states as database enums."""

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
    """A `jsonb` column that also accepts a value serialised as one JSON string, and parses it on read.

    As a jsonb object a digest is twice as long as its text and takes Postgres three times as long to
    store, which was most of the cost of a row. So deliveries of an edition hold their digest as one
    JSON string. Objects are written and read as usual.
    """

    impl = JSONB
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002  # SQLAlchemy gives it
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            return value  # Using it fails; loading it must not, for other rows are loaded with it.


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
    """Return a Postgres enum that holds the values ("replace-cross"), not Python's member names."""
    return Enum(states, name=name, values_callable=lambda members: [m.value for m in members])
