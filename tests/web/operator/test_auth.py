"""Who may see the operator pages."""

import pytest

from service.web.operator.auth import read_password


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
def test_a_password_is_read_as_rfc_7617_writes_it(header: str, password: bytes | None) -> None:
    assert read_password(header) == password
