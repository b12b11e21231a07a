"""Array literals are read by Postgres with their original values."""

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from service.deliveries.domain.states import DeliveryState
from service.platform.database.text_formats import write_numbers, write_octets, write_texts

TEXTS = [
    "",
    "NULL",
    "null",
    None,
    " a ",
    "a,b",
    "{a}",
    'say "no"',
    "\\",
    '\\"',
    "\n\t",
    "é 😀",
    "'",
    "%s :x",
]
OCTETS = [b"", bytes(range(256)), b"\\x00", b'","']


def read(session: Session, kind: str, written: str) -> object:
    return session.execute(
        text(f"SELECT CAST(:given AS {kind}[])"), {"given": written}
    ).scalar_one()


@pytest.mark.parametrize("texts", [[], TEXTS])
def test_texts_come_back_as_they_were(session: Session, texts: list[str | None]) -> None:
    assert read(session, "text", write_texts(texts)) == texts


@pytest.mark.parametrize("values", [[], OCTETS])
def test_octets_come_back_as_they_were(session: Session, values: list[bytes]) -> None:
    assert read(session, "bytea", write_octets(values)) == values


@pytest.mark.parametrize("numbers", [[], [0, -1, 2**63 - 1]])
def test_numbers_come_back_as_they_were(session: Session, numbers: list[int]) -> None:
    assert read(session, "bigint", write_numbers(numbers)) == numbers


def test_states_are_written_by_their_values(session: Session) -> None:
    written = write_texts([DeliveryState.IN_DOUBT])
    assert read(session, "delivery_state", written) == "{in_doubt}"
