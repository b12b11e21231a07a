"""PostgreSQL array literals written by hand, for `CAST(:name AS type[])`.

psycopg inspects each element of a list three times. For 500 values, in microseconds of processor
time, this module against the driver's list dumper: integers 57 and 327, texts 63 and 899. A window
of rows on the wire passes a dozen such arrays. COPY lines and JSON bring nothing by hand: the
driver's `write_row` and `pydantic_core.to_json` are as fast or faster.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, any_, bindparam, cast, literal
from sqlalchemy.dialects.postgresql import ARRAY


def write_numbers(numbers: Iterable[int]) -> str:
    """Return integers as an array literal."""
    return f"{{{','.join(map(str, numbers))}}}"


def write_texts(texts: Iterable[str | None]) -> str:
    """Return texts as an array literal, also those of enums and times; None is NULL."""
    return "{" + ",".join(["NULL" if text is None else _quote(text) for text in texts]) + "}"


def _quote(text: str) -> str:
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def write_octets(values: Iterable[bytes]) -> str:
    """Return byte strings as an array literal of `bytea`."""
    return "{" + ",".join([f'"\\\\x{value.hex()}"' for value in values]) + "}"


def is_among(column: Any, ids: Iterable[int]) -> ColumnElement[bool]:
    """Return `column = ANY (ids)`: one parameter for a thousand ids, where IN needs a thousand."""
    return _is_among(column, literal(write_numbers(ids), Text))


def is_one_of(column: Any, name: str) -> ColumnElement[bool]:
    """Return the same for a statement that is built once; `write_numbers` gives the parameter."""
    return _is_among(column, bindparam(name, type_=Text))


def _is_among(column: Any, written: ColumnElement[str]) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = column == any_(cast(written, ARRAY(BigInteger)))
    return condition
