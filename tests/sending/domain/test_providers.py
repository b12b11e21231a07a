"""Which addresses share a provider."""

import pytest

from service.sending.domain.providers import provider_of


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("a@gmail.com", "gmail"),
        ("a@GoogleMail.com", "gmail"),
        ("a@outlook.com", "outlook"),
        ("a@hotmail.co.uk", "outlook"),
        ("a@live.nl", "outlook"),
        ("a@msn.com", "outlook"),
        ("a@yahoo.com.br", "yahoo"),
        ("a@aol.com", "yahoo"),
        ("a@ymail.com", "yahoo"),
        ("a@me.com", "icloud"),
        ("a@mac.com", "icloud"),
        ("a@web.de", "gmx"),
        ("a@gmx.at", "gmx"),
        ("a@uni.example", "uni.example"),
        ("a@live.uni.example", "live.uni.example"),
        ("a@hotmail.example.org", "hotmail.example.org"),
        ("a@notgmail.com", "notgmail.com"),
        ("a@Uni.Example.", "uni.example"),
        ("odd@local@gmail.com", "gmail"),
        ("nothing", "nothing"),
    ],
)
def test_an_address_belongs_to(address: str, provider: str) -> None:
    assert provider_of(address) == provider
