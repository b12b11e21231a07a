"""Arrays as PostgreSQL writes them, for `CAST(:name AS type[])`."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, any_, cast, literal
from sqlalchemy.dialects.postgresql import ARRAY


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
