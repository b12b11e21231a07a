"""The exact bytes of a message, read by two parsers."""

import email
import email.policy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.mail.plain_mail import plain_mail

from service.deliveries.domain.states import DeliveryKind
from service.messages.contexts.digest import DigestContext, DigestPaper
from service.messages.contexts.transactional import MailContext
from service.messages.domain.errors import HeaderError
from service.messages.mime.addresses import ascii_address, encode_address, is_ordinary, wire_address
from service.messages.mime.mime import MessageHeaders, build_message, message_id
from service.messages.rendering.renderer import Renderer

SECRET = b"a secret of the tests"
ID = message_id(DeliveryKind.DIGEST, 123, SECRET, "example.org")
ONE_CLICK = "https://papers.example.org/unsubscribe/" + "Ab9_-" * 60

HEADERS = MessageHeaders(
    sender="Paperboy <digest@example.org>",
    to="reader@example.net",
    message_id=ID,
    date=datetime(2026, 4, 21, 5, 0, tzinfo=UTC),
    kind=DeliveryKind.DIGEST,
    list_id="Paperboy digest <digest.example.org>",
    unsubscribe_url=ONE_CLICK,
)
MAIL = plain_mail(subject="7 new papers · Tue 21 Apr", html="<p>ü</p>\n", text="ü\n")


def modern(raw: bytes) -> EmailMessage:
    found = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    assert found.defects == []
    return found


def part(message: EmailMessage, subtype: str) -> str:
    found = message.get_body((subtype,))
    assert found is not None
    content = found.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n")


def old_part(message: Message, position: int) -> str:
    payload = message.get_payload(position)
    assert isinstance(payload, Message)
    body = payload.get_payload(decode=True)
    assert isinstance(body, bytes)
    return body.decode().replace("\r\n", "\n")


def test_a_digest_has_all_its_headers() -> None:
    message = modern(build_message(MAIL, HEADERS))
    assert message["From"] == "Paperboy <digest@example.org>"
    assert message["To"] == "reader@example.net"
    assert message["Subject"] == "7 new papers · Tue 21 Apr"
    assert message["Date"].datetime == HEADERS.date
    assert message["Message-ID"] == ID
    assert message["List-Id"] == "Paperboy digest <digest.example.org>"
    assert message["List-Post"] == "NO"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["MIME-Version"] == "1.0"
    assert message["Auto-Submitted"] is None
    assert message["Precedence"] is None
    assert message["Reply-To"] is None
    assert message.get_content_type() == "multipart/alternative"
    assert [found.get_content_type() for found in message.iter_parts()] == [
        "text/plain",
        "text/html",
    ]


def test_the_unsubscribe_header_is_plain_text_on_the_wire() -> None:
    raw = build_message(MAIL, HEADERS)
    assert f"List-Unsubscribe: <{ONE_CLICK}>\r\n".encode() in raw


@pytest.mark.parametrize(
    ("url", "is_one_click"),
    [
        ("https://papers.example.org/u", True),
        ("http://127.0.0.1:8000/u", True),
        ("http://[::1]:8000/u", True),
        ("http://localhost/u", True),
        ("http://papers.localhost/u", True),
        ("http://papers.example.org/u", False),
        ("http://10.0.0.1/u", False),
        ("mailto:x@example.org", False),
        ("https:///u", False),
        ("", False),
        (None, False),
    ],
)
def test_one_click_is_offered_only_over_https_or_loopback(
    url: str | None, is_one_click: bool
) -> None:
    headers = replace(HEADERS, unsubscribe_url=url)
    message = modern(build_message(MAIL, headers))
    assert message["List-Unsubscribe"] == (f"<{url}>" if is_one_click else None)
    assert (message["List-Unsubscribe-Post"] is not None) is is_one_click


@pytest.mark.parametrize("kind", list(DeliveryKind))
def test_list_unsubscribe_is_for_digests_and_welcomes_and_auto_submitted_for_all_but_digests(
    kind: DeliveryKind,
) -> None:
    message = modern(build_message(MAIL, replace(HEADERS, kind=kind)))
    is_digest = kind in {DeliveryKind.DIGEST, DeliveryKind.CATCH_UP}
    is_list = is_digest or kind is DeliveryKind.WELCOME
    assert (message["List-Unsubscribe"] is not None) is is_list
    assert (message["List-Unsubscribe-Post"] is not None) is is_list
    automatic = None if is_digest else "auto-generated"
    assert message["Auto-Submitted"] == automatic


@pytest.mark.parametrize("kind", list(DeliveryKind))
def test_two_parsers_read_the_same_mail(
    renderer: Renderer, every_mail: dict[DeliveryKind, MailContext], kind: DeliveryKind
) -> None:
    mail = renderer.render(kind, every_mail[kind])
    raw = build_message(mail, replace(HEADERS, kind=kind, reply_to="Help <help@example.org>"))
    new, old = modern(raw), email.message_from_bytes(raw)
    assert new.keys() == old.keys()
    assert len(set(new.keys())) == len(new.keys())
    assert new["Reply-To"] == "Help <help@example.org>"
    assert part(new, "plain") == mail.text == old_part(old, 0)
    assert part(new, "html").rstrip("\n") == mail.html.rstrip("\n")
    assert old_part(old, 1).rstrip("\n") == mail.html.rstrip("\n")


def test_lines_are_short_end_with_crlf_and_are_ascii(
    renderer: Renderer,
    make_entry: Callable[..., DigestPaper],
    make_digest: Callable[..., DigestContext],
) -> None:
    entry = make_entry(title="x" * 5_000 + "é", abstract="長い" * 5_000)
    mail = renderer.render(DeliveryKind.DIGEST, make_digest(entry))
    raw = build_message(mail, HEADERS)
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert len(raw) <= mail.wire_size


def test_messages_are_deterministic_and_the_boundary_depends_on_the_id() -> None:
    assert build_message(MAIL, HEADERS) == build_message(MAIL, HEADERS)
    other = replace(HEADERS, message_id=message_id(DeliveryKind.DIGEST, 124, SECRET, "example.org"))
    one, two = modern(build_message(MAIL, HEADERS)), modern(build_message(MAIL, other))
    assert one.get_boundary() != two.get_boundary()


def test_a_text_cannot_contain_the_boundary() -> None:
    boundary = modern(build_message(MAIL, HEADERS)).get_boundary()
    text = f"before\n--{boundary}--\nafter\n.\nFrom here\n"
    mail = plain_mail(subject="s", html=f"<p>--{boundary}</p>\n", text=text)
    message = modern(build_message(mail, HEADERS))
    assert part(message, "plain") == text
    assert part(message, "html") == f"<p>--{boundary}</p>\n"


@pytest.mark.parametrize("bad", ["a\r\nBcc: x@example.org", "a\nb", "a\rb", "a\x00b", "a\x7fb"])
@pytest.mark.parametrize(
    "name", ["sender", "to", "reply_to", "message_id", "list_id", "unsubscribe_url"]
)
def test_a_control_character_in_a_header_is_refused(name: str, bad: str) -> None:
    value: Any = {
        "sender": f"{bad} <digest@example.org>",
        "to": f"{bad}@example.org",
        "reply_to": f"{bad} <help@example.org>",
        "message_id": f"<{bad}@example.org>",
        "list_id": f"{bad} <digest.example.org>",
        "unsubscribe_url": f"https://example.org/{bad}",
    }[name]
    with pytest.raises(HeaderError) as caught:
        build_message(MAIL, replace(HEADERS, **{name: value}))
    assert bad not in str(caught.value)
    with pytest.raises(HeaderError):
        build_message(replace(MAIL, subject=bad), HEADERS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("to", "nobody"),
        ("to", "@example.org"),
        ("to", "a b@example.org"),
        ("to", "jür gen@example.org"),
        ("sender", "jürgen@example.org"),
        ("to", "a@"),
        ("to", "a@exa mple.org"),
        ("to", "a@" + "ü" * 80 + ".de"),
        ("to", "a@example.org, b@example.org"),
        ("message_id", "no brackets"),
        ("message_id", "<two@at@signs>"),
        ("list_id", "Paperboy"),
        ("unsubscribe_url", "https://example.org/ü"),
        ("unsubscribe_url", "https://example.org/a>b"),
        ("unsubscribe_url", "https://[bad"),
        ("unsubscribe_url", "https://example.org/" + "x" * 1_000),
        ("date", datetime(2026, 4, 21)),  # noqa: DTZ001 - a naive time is what is refused
    ],
)
def test_an_invalid_header_value_is_refused(name: str, value: Any) -> None:
    with pytest.raises(HeaderError):
        build_message(MAIL, replace(HEADERS, **{name: value}))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("x@münchen.de", "x@xn--mnchen-3ya.de"),
        ("X.y+tag@Example.org", "X.y+tag@Example.org"),
        ("digest@localhost", "digest@localhost"),
        ("a@例え.jp", "a@xn--r8jz45g.jp"),
    ],
)
def test_domains_are_encoded_as_a_labels(address: str, expected: str) -> None:
    assert ascii_address(address) == expected
    assert modern(build_message(MAIL, replace(HEADERS, to=address)))["To"] == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("änne.müller+x@münchen.example", "änne.müller+x@xn--mnchen-3ya.example"),
        ("用户@例え.jp", "用户@xn--r8jz45g.jp"),
        ("anne@example.org", "anne@example.org"),
    ],
)
def test_a_non_ascii_local_part_is_not_encoded(address: str, expected: str) -> None:
    assert wire_address(address) == expected
    payload = build_message(MAIL, replace(HEADERS, to=address))
    assert f"\r\nTo: {expected}\r\n".encode() in payload
    read = email.message_from_bytes(payload, policy=email.policy.SMTPUTF8)
    # Python returns the bytes of a header undecoded.
    found = read["To"].addresses[0].addr_spec
    assert found.encode("utf-8", "surrogateescape").decode() == expected


@pytest.mark.parametrize(
    "name",
    ["Paperboy", 'The "Daily" Paper, Inc.', "Zeitung für Forschung", "論文の朝刊", "=?utf-8?q?x?="],
)
def test_any_display_name_survives_a_round_trip(name: str) -> None:
    quoted = name.replace('"', '\\"')
    headers = replace(HEADERS, sender=f'"{quoted}" <digest@example.org>')
    raw = build_message(MAIL, headers)
    (address,) = modern(raw)["From"].addresses
    assert (address.display_name, address.addr_spec) == (name, "digest@example.org")


def test_a_name_is_dropped_where_the_field_would_be_longer_than_320() -> None:
    headers = replace(HEADERS, sender=f"{'Long ' * 70}<digest@example.org>")
    assert modern(build_message(MAIL, headers))["From"] == "digest@example.org"


def test_a_list_id_may_have_no_name_or_be_left_out() -> None:
    bare = modern(build_message(MAIL, replace(HEADERS, list_id="<digest.example.org>")))
    assert bare["List-Id"] == "<digest.example.org>"
    none = modern(build_message(MAIL, replace(HEADERS, list_id="")))
    assert none["List-Id"] is None
    assert none["List-Post"] is None


def test_a_message_id_belongs_to_one_delivery_of_one_kind_and_one_secret() -> None:
    assert ID.startswith("<digest.123.")
    assert ID.endswith("@example.org>")
    assert message_id(DeliveryKind.DIGEST, 123, SECRET, "example.org") == ID
    others = {
        message_id(DeliveryKind.DIGEST, 124, SECRET, "example.org"),
        message_id(DeliveryKind.WELCOME, 123, SECRET, "example.org"),
        message_id(DeliveryKind.DIGEST, 123, b"another", "example.org"),
        message_id(DeliveryKind.DIGEST, 123, SECRET, "münchen.de"),
    }
    assert len(others | {ID}) == 5


# Characters of addresses, and some that no address can contain.
LOCAL = st.text("aZ0!#$%&'*+/=?^_`{|}~-..", max_size=8) | st.text("a.ü @<>\r\n", max_size=4)
HOST = st.text("aZ0-_..", max_size=8) | st.text("a.ü @<>\r\n", max_size=4)


@settings(max_examples=500, deadline=None)
@given(st.builds("{}@{}".format, LOCAL, HOST) | st.text(max_size=12))
def test_the_shortcut_for_ordinary_addresses_changes_no_result(address: str) -> None:
    if is_ordinary(address):
        assert encode_address(address, "To") == wire_address(address) == address
        raw = build_message(MAIL, replace(HEADERS, to=address))
        assert f"\r\nTo: {address}\r\n".encode() in raw
    else:
        with suppress(HeaderError):
            assert ascii_address(address) == encode_address(address, "To")


def is_one_click(url: str) -> bool:
    """RFC 8058 §3.1 and our rule for loopback hosts, with the standard library only."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_near = host == "localhost" or host.endswith(".localhost") or host.startswith("127.")
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_near))


@settings(max_examples=300, deadline=None)
@given(
    scheme=st.sampled_from(["https", "http", "HTTPS", "ftp", ""]),
    host=st.sampled_from(
        [
            "",
            "a",
            "papers.example.org",
            "Papers.Example.org",
            "localhost",
            "x.localhost",
            "127.0.0.1",
            "10.0.0.1",
            ".",
            "a..b",
            "user@a",
            "127.0.0.1@evil.example",
            "-",
        ]
    ),
    port=st.sampled_from(["", ":", ":80", ":8000", ":99999"]),
    path=st.text("/aZ9-_~.%?#&=+:@", max_size=9).map(lambda text: f"/{text}") | st.just(""),
)
def test_the_regex_for_our_own_links_changes_no_result(
    scheme: str, host: str, port: str, path: str
) -> None:
    url = f"{scheme}://{host}{port}{path}"
    headers = replace(HEADERS, unsubscribe_url=url)
    raw = build_message(MAIL, headers)
    assert (b"List-Unsubscribe-Post" in raw) is is_one_click(url)
    assert (f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in raw) is is_one_click(url)


PRINTABLE = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=200)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(subject=PRINTABLE, text=PRINTABLE)
def test_any_subject_and_text_survive_a_round_trip(subject: str, text: str) -> None:
    subject = " ".join(subject.split())
    text = "\n".join(text.splitlines()) + "\n"
    mail = plain_mail(subject=subject, html=f"<p>{text}</p>\n", text=text)
    raw = build_message(mail, HEADERS)
    old = email.message_from_bytes(raw)
    decoded = email.header.make_header(email.header.decode_header(old["Subject"]))
    assert " ".join(str(decoded).split()) == subject
    assert part(modern(raw), "plain") == text


def test_only_postmark_gets_the_headers_that_keep_our_message_id() -> None:
    mail = modern(build_message(MAIL, replace(HEADERS, is_for_postmark=True)))
    assert (mail["X-PM-KeepID"], mail["X-PM-Metadata-message-id"]) == ("true", ID)
    plain = modern(build_message(MAIL, HEADERS))
    assert not [name for name in plain if name.lower().startswith("x-pm-")]
