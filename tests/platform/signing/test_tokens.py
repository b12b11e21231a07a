"""Tokens: one purpose does not accept the tokens of another, and each expires in time."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer

from service.platform.signing.tokens import (
    TERMS,
    Purpose,
    Token,
    TokenEnded,
    TokenExpired,
    TokenInvalid,
    is_held_by,
    make_token,
    sign_token,
    sign_tokens,
    verify_token,
)

KEYS = ("the newest key", "an older key")
NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
TOKENS = st.builds(
    Token,
    purpose=st.sampled_from(Purpose),
    subject=st.integers(0, 2**63 - 1),
    issued_at=st.integers(0, int(NOW.timestamp())).map(lambda n: datetime.fromtimestamp(n, UTC)),
    detail=st.text(max_size=20).filter(lambda text: text.isprintable()),
    key=st.binary(min_size=8, max_size=8),
    epoch=st.integers(0, 2**32 - 1),
)


@dataclass(frozen=True)
class Holder:
    """A subscriber, as links name it."""

    id: int
    link_key: bytes
    link_epoch: int


def holder_of(token: Token) -> Holder:
    return Holder(token.subject, token.key, token.epoch)


@given(TOKENS)
def test_a_signed_token_is_read_unchanged(token: Token) -> None:
    text = sign_token(token, KEYS)
    assert text == sign_token(token, KEYS)
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    assert verify_token(text, token.purpose, KEYS, NOW, may_be_old=True) == token


@given(TOKENS)
def test_tokens_signed_together_are_those_signed_alone(token: Token) -> None:
    holder = holder_of(token)
    alone = [sign_token(make_token(one, holder, token.issued_at), KEYS) for one in Purpose]
    assert sign_tokens(Purpose, holder, token.issued_at, KEYS) == alone


@given(TOKENS)
def test_a_token_is_signed_as_the_library_signs(token: Token) -> None:
    text = sign_token(token, KEYS)
    signer = Signer(KEYS[0], salt=token.purpose, digest_method=sha256)
    assert signer.sign(text.partition(".")[0]).decode() == text


@given(TOKENS)
def test_a_token_is_held_by_the_row_of_its_key_in_its_epoch(token: Token) -> None:
    holder = holder_of(token)
    assert is_held_by(token, holder)
    other = bytes(octet ^ 1 for octet in token.key)
    assert not is_held_by(token, replace(holder, link_key=other))
    lasts = token.purpose in {Purpose.UNSUBSCRIBE, Purpose.NEVER}
    assert is_held_by(token, replace(holder, link_epoch=token.epoch + 1)) is lasts


@given(TOKENS, st.sampled_from(Purpose))
def test_a_token_of_one_purpose_never_opens_another(token: Token, purpose: Purpose) -> None:
    text = sign_token(token, KEYS)
    if purpose is not token.purpose:
        with pytest.raises(TokenInvalid):
            verify_token(text, purpose, KEYS, NOW, may_be_old=True)


@given(TOKENS, st.data())
def test_a_token_with_one_character_changed_is_refused(token: Token, data: st.DataObject) -> None:
    text = sign_token(token, KEYS)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("AQgw.").filter(lambda c: c != text[at]))
    changed = text[:at] + other + text[at + 1 :]
    try:
        read = verify_token(changed, token.purpose, KEYS, NOW, may_be_old=True)
    except TokenInvalid:
        return
    # The last character of base64 holds bits that no byte uses; the token itself is the same.
    assert read == token


@given(st.text() | st.sampled_from(["", ".", "..", "a.b", "\ud800", "\x00", "é"]))
def test_what_was_not_signed_is_refused(text: str) -> None:
    with pytest.raises(TokenInvalid):
        verify_token(text, Purpose.CONFIRM, KEYS, NOW)


@pytest.mark.parametrize(
    "payload", [b"", b"text", b'[7,1,""]', bytes(23), bytes(24) + b"\xff", bytes(20)]
)
def test_a_signed_value_that_is_no_token_is_refused(payload: bytes) -> None:
    signer = Signer(KEYS[0], salt=Purpose.CONFIRM, digest_method=sha256)
    text = signer.sign(urlsafe_b64encode(payload).rstrip(b"=")).decode()
    with pytest.raises(TokenInvalid):
        verify_token(text, Purpose.CONFIRM, KEYS, NOW)


def test_a_key_that_was_rotated_out_of_first_place_still_reads() -> None:
    token = Token(Purpose.UNSUBSCRIBE, 7, NOW)
    assert verify_token(sign_token(token, KEYS[1:]), Purpose.UNSUBSCRIBE, KEYS, NOW) == token
    with pytest.raises(TokenInvalid):
        verify_token(sign_token(token, KEYS), Purpose.UNSUBSCRIBE, KEYS[1:], NOW)
    assert sign_token(token, KEYS) == sign_token(token, KEYS[:1])


@pytest.mark.parametrize("purpose", Purpose)
def test_a_link_expires_but_one_to_unsubscribe_never_does(purpose: Purpose) -> None:
    text = sign_token(Token(purpose, 7, NOW), KEYS)
    lifetime = TERMS[purpose].lifetime
    if lifetime is None:
        assert purpose in {Purpose.UNSUBSCRIBE, Purpose.NEVER, Purpose.EDITION, Purpose.FEED}
        assert verify_token(text, purpose, KEYS, NOW + timedelta(days=36_500)).subject == 7
    else:
        assert verify_token(text, purpose, KEYS, NOW + lifetime).subject == 7
        late = NOW + lifetime + timedelta(seconds=1)
        with pytest.raises(TokenExpired):
            verify_token(text, purpose, KEYS, late)
        assert verify_token(text, purpose, KEYS, late, may_be_old=True).subject == 7


def test_both_refusals_are_sentences_for_a_page() -> None:
    assert str(TokenInvalid()).endswith(".")
    assert str(TokenExpired()).endswith(".")
    assert str(TokenEnded()).endswith(".")


def test_every_purpose_has_terms_and_the_strongest_last_the_shortest() -> None:
    assert set(TERMS) == set(Purpose)
    days = {purpose: terms.lifetime for purpose, terms in TERMS.items()}
    assert days == {
        Purpose.FORM: timedelta(days=2),
        Purpose.WAIT: timedelta(hours=1),
        Purpose.EDITION: None,
        Purpose.FEED: None,
        Purpose.UNSUBSCRIBE: None,
        Purpose.NEVER: None,
        Purpose.CHANGE: timedelta(days=120),
        Purpose.PREFERENCES: timedelta(days=120),
        Purpose.ADDRESS: timedelta(days=7),
        Purpose.CONFIRM: timedelta(days=7),
        Purpose.OPERATOR: timedelta(hours=2),
    }
