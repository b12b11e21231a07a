"""Addresses as SMTP takes them."""

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
def test_what_is_no_address_is_refused_in_utf8_too(address: str) -> None:
    with pytest.raises(HeaderError):
        wire_address(address)


def test_most_addresses_take_the_short_way() -> None:
    assert is_ordinary("first.last+tag@mail.example.org")
    assert is_ordinary("bounce+2s-k3v5@bounces.example.org")
