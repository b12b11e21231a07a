"""Addresses as keys: one mailbox has one key, and a keyed hash hides the address."""

from hypothesis import given
from hypothesis import strategies as st

from service.platform.signing.address_hash import address_hash, email_key

LOCALS = st.text("abcXYZ019.+-_'", min_size=1, max_size=12)
DOMAINS = st.sampled_from(["example.org", "Mail.Example.ORG", "xn--bcher-kva.example", "a.b.c"])


@given(LOCALS, DOMAINS)
def test_every_spelling_of_a_mailbox_has_one_key(local: str, domain: str) -> None:
    key = email_key(f"{local}@{domain}")
    assert email_key(f" {local.upper()}@{domain.swapcase()}. ") == key
    assert email_key(key) == key


def test_a_tag_and_a_quoted_at_stay_mailboxes_of_their_own() -> None:
    assert email_key("reader+news@example.org") != email_key("reader@example.org")
    assert email_key('"a@b"@Example.org') == '"a@b"@example.org'


@given(LOCALS, DOMAINS)
def test_a_hash_is_of_one_address_under_one_secret(local: str, domain: str) -> None:
    key = email_key(f"{local}@{domain}")
    kept = address_hash(key, "first")
    assert len(kept) == 32
    assert kept == address_hash(key, "first")
    assert kept != address_hash(key, "second")
    assert kept != address_hash(f"x{key}", "first")
