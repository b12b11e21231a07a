"""Hostile mails to the bounce address: bounded, parsed as far as possible, or refused."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.mail.bounce_mails import SUBSCRIBER, complaint, dsn, letter, refused

from service.bounces.inbound.bounce_mail import BounceMail
from service.bounces.inbound.mime_parts import MOST_BYTES, MOST_LINES, MOST_RECIPIENTS, NotReadable
from service.bounces.inbound.parse import parse_bounce
from service.deliveries.domain.states import BounceVerdict

V = BounceVerdict


def test_a_message_too_large_is_refused_unparsed() -> None:
    with pytest.raises(NotReadable, match="larger"):
        parse_bounce(b"x" * (MOST_BYTES + 1))


def test_a_bomb_of_nested_parts_is_refused() -> None:
    layer = b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n'
    with pytest.raises(NotReadable, match="parts"):
        parse_bounce(layer * 90_000)
    with pytest.raises(NotReadable):
        parse_bounce(layer * 1_000_000)


def test_as_many_parts_as_are_allowed_can_be_nested() -> None:
    layers = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(115)
    )
    assert parse_bounce(layers).verdict is V.NOT_A_BOUNCE


def test_thousands_of_recipients_are_cut() -> None:
    raw = dsn(*(refused(f"r{n}@example.org") for n in range(500)))
    assert len(parse_bounce(raw).recipients) == MOST_RECIPIENTS


def test_a_text_of_many_lines_is_parsed_in_part() -> None:
    raw = letter(f"<{SUBSCRIBER}>: user unknown\n" + "\n" * (MOST_LINES + 10))
    assert [one.address for one in parse_bounce(raw).recipients] == [SUBSCRIBER]


BROKEN = [
    b"",
    b"\x00",
    b"Subject: =?utf-8?b?a?=\n\nx",
    b"Subject: =?no-such-charset?q?=ff?=\n\nx",
    b"Subject: =?unicode_escape?q?=5Cx?=\n\nx",
    b'Content-Type: text/plain; charset="a\x00b"\n\nx',
    b"Content-Type: text/plain; charset*=a\x00b'en'x\n\nx",
    b"Content-Type: text/plain; charset=hex\n\nx",
    b"Content-Type: text/plain; charset=undefined\n\nx",
    b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nx",
    b"Content-Type: message/delivery-status\n\n",
    b"Content-Type: message/feedback-report\n\n",
    b"Content-Type: multipart/report\n\nno parts",
    b"From: \xff\xfe\nSubject: failure notice\n\nx",
    b"From: \nSubject: failure notice\n\nx",
    b"Date: Fri, 99 Foo 99999 99:99:99 +9999\n\nx",
]


@pytest.mark.parametrize("raw", BROKEN)
def test_a_broken_mail_is_parsed_as_far_as_possible(raw: bytes) -> None:
    assert isinstance(parse_bounce(raw), BounceMail)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=600))
@example(b"\r\r\n\n")
def test_random_bytes_never_raise(raw: bytes) -> None:
    assert isinstance(parse_bounce(raw), BounceMail)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([dsn(), complaint(), letter(f"<{SUBSCRIBER}>: unknown user\n\nReceived: x\n")]),
    st.lists(
        st.tuples(st.integers(0, 1200), st.integers(0, 60), st.binary(max_size=20)), max_size=6
    ),
)
def test_damaged_bounces_never_raise(raw: bytes, damages: list[tuple[int, int, bytes]]) -> None:
    for start, length, put in damages:
        raw = raw[:start] + put + raw[start + length :]
    assert isinstance(parse_bounce(raw), BounceMail)
