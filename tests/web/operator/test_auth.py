"""Passwords of the operator pages in Authorization headers."""

import pytest

from service.web.operator.auth import parse_password


@pytest.mark.parametrize(
    ("header", "password"),
    [
        ("", None),
        ("Bearer abc", None),
        ("Basic !!!", None),
        ("Basic bWU6YTpi", b"a:b"),
        ("basic bWU6", b""),
        ("Basic w7w=", b""),
    ],
)
def test_a_password_is_parsed_as_in_rfc_7617(header: str, password: bytes | None) -> None:
    assert parse_password(header) == password
