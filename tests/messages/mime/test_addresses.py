"""Addresses for SMTP."""

import pytest

from service.messages.domain.errors import HeaderError
from service.messages.mime.addresses import is_ordinary, wire_address


@pytest.mark.parametrize(
    "address",
    [
        "ä ö@example.org",
        "ä\u0085@example.org",
        "ä..ö@example.org",
        "ä<@example.org",
        "ä@",
        "ä\ud800@example.org",
        "ä\u2028@example.org",
    ],
)
def test_an_invalid_utf8_address_is_refused(address: str) -> None:
    with pytest.raises(HeaderError):
        wire_address(address)


def test_most_addresses_match_the_fast_regex() -> None:
    assert is_ordinary("first.last+tag@mail.example.org")
    assert is_ordinary("bounce+2s-k3v5@bounces.example.org")
