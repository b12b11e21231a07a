"""Parsing of page numbers, and slices of long lists."""

import pytest
from fastapi import HTTPException

from service.web.views.pagination import cut, parse_page_number


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("7", 7), ("0", 1), ("007", 7), ("50", 50), ("1e9", 1), ("", 1), ("٣", 1)],
)
def test_an_invalid_page_number_is_page_one(text: str, number: int) -> None:
    assert parse_page_number(text) == number


@pytest.mark.parametrize("text", ["51", "999", str(10**9), "9" * 5_000])
def test_a_page_past_all_lists_is_not_there(text: str) -> None:
    with pytest.raises(HTTPException) as refused:
        parse_page_number(text)
    assert refused.value.status_code == 404


def test_a_page_past_the_end_is_the_last_page() -> None:
    assert cut(range(45), 2, 40).items == tuple(range(40, 45))
    assert cut(range(45), 9, 40).number == 2
    assert cut([], 3, 40).pages == 1
