"""Signed addresses: a return path names its delivery, another its subscriber; none can be forged."""

from hypothesis import given
from hypothesis import strategies as st

from service.deliveries.domain.return_path import (
    Leaving,
    make_return_path,
    make_unsubscribe_address,
    parse_return_path,
    parse_unsubscribe_address,
)

KEYS = ("the first key of a test", "an older key of a test")
DOMAIN = "bounces.paperboy.example"
BIGINT = st.integers(0, 2**63 - 1)


@given(BIGINT)
def test_a_return_path_names_its_delivery(number: int) -> None:
    assert parse_return_path(make_return_path(number, DOMAIN, KEYS[0]), DOMAIN, KEYS) == number


@given(BIGINT)
def test_its_local_part_fits_every_server(number: int) -> None:
    local = make_return_path(number, DOMAIN, KEYS[0]).rpartition("@")[0]
    assert local == local.lower()
    assert local.isascii()
    assert len(local) <= 64


def test_changed_case_and_added_brackets_are_accepted() -> None:
    path = make_return_path(123, DOMAIN, KEYS[0])
    assert parse_return_path(f"<{path.upper()}>", DOMAIN, KEYS) == 123
    assert parse_return_path(f"{path}.", DOMAIN, KEYS) == 123


def test_an_older_key_is_still_valid_and_an_unknown_one_is_not() -> None:
    assert parse_return_path(make_return_path(7, DOMAIN, KEYS[1]), DOMAIN, KEYS) == 7
    assert parse_return_path(make_return_path(7, DOMAIN, "somebody else's"), DOMAIN, KEYS) is None


def test_the_signature_of_one_delivery_is_invalid_for_another() -> None:
    proof = make_return_path(1, DOMAIN, KEYS[0]).partition("-")[2]
    assert parse_return_path(f"bounce+2-{proof}", DOMAIN, KEYS) is None


def test_another_domain_or_none_is_not_ours() -> None:
    path = make_return_path(1, "elsewhere.example", KEYS[0])
    assert parse_return_path(path, DOMAIN, KEYS) is None
    assert parse_return_path(path, "", KEYS) is None


@given(st.text(max_size=80))
def test_no_random_text_is_valid_and_none_raises(text: str) -> None:
    assert parse_return_path(text, DOMAIN, KEYS) is None
    assert parse_return_path(f"bounce+{text}@{DOMAIN}", DOMAIN, KEYS) is None


@given(BIGINT, st.integers(0, 15), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_one_changed_letter_of_the_proof_is_refused(number: int, place: int, letter: str) -> None:
    head, proof = make_return_path(number, DOMAIN, KEYS[0]).split("@")[0].split("-")
    changed = proof[:place] + letter + proof[place + 1 :]
    expected = number if changed == proof else None
    assert parse_return_path(f"{head}-{changed}@{DOMAIN}", DOMAIN, KEYS) == expected


@given(BIGINT)
def test_an_unsubscribe_address_names_its_subscriber_and_fits_every_server(number: int) -> None:
    leaving = Leaving(number, number.to_bytes(8, "little"))
    address = make_unsubscribe_address(leaving, DOMAIN, KEYS[1])
    assert parse_unsubscribe_address(address.upper(), DOMAIN, KEYS) == leaving
    assert len(address.rpartition("@")[0]) <= 56


def test_an_unsubscribe_address_holds_for_the_key_of_one_address() -> None:
    one, other = (
        make_unsubscribe_address(Leaving(7, key), DOMAIN, KEYS[0])
        for key in (bytes(8), b"8 octets")
    )
    mixed = one[: -len(DOMAIN) - 17] + other[-len(DOMAIN) - 17 :]
    assert parse_unsubscribe_address(mixed, DOMAIN, KEYS) is None


def test_the_two_kinds_of_addresses_are_not_interchangeable() -> None:
    path = make_return_path(7, DOMAIN, KEYS[0])
    address = make_unsubscribe_address(Leaving(7, bytes(8)), DOMAIN, KEYS[0])
    assert parse_return_path(address, DOMAIN, KEYS) is None
    assert parse_unsubscribe_address(path, DOMAIN, KEYS) is None
    assert parse_unsubscribe_address(path.replace("bounce", "unsubscribe"), DOMAIN, KEYS) is None
    assert parse_return_path(address.replace("unsubscribe", "bounce"), DOMAIN, KEYS) is None
