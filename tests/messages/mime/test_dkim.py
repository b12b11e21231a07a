"""DKIM signatures that dkimpy verifies, and refused keys."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from support.mail.dkim_keys import ed25519_key, rsa_key, verdicts, write_key
from support.mail.plain_mail import plain_mail

from service.deliveries.domain.states import DeliveryKind
from service.messages.domain.errors import HeaderError
from service.messages.mime.dkim import DkimSigner, compare_record, load_signer, relax_body
from service.messages.mime.mime import MessageHeaders, build_message
from service.platform.settings.dkim_keys import DkimKey, load_dkim_key
from service.platform.settings.faults import Refused

NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
RSA, EDWARDS = DkimKey("rsa2026", rsa_key()), DkimKey("ed2026", ed25519_key())
RECORDS = {f"{key.selector}._domainkey.paperboy.example": key.record for key in (RSA, EDWARDS)}
SIGNER = DkimSigner("paperboy.example", [RSA, EDWARDS])
HEADERS = MessageHeaders(
    sender="Päperboy <digest@paperboy.example>",
    to="anne@example.org",
    message_id="<digest.17.0123456789abcdef0123@paperboy.example>",
    date=NOW,
    kind=DeliveryKind.DIGEST,
    reply_to="editors@paperboy.example",
    list_id="Digests <digest.paperboy.example>",
    unsubscribe_url="https://paperboy.example/unsubscribe/abc",
)
MAIL = plain_mail("Sieben neue über Größen · " * 4, "<p>7 new ones</p>", "7 new ones\n\n\n")
MESSAGE = build_message(MAIL, HEADERS)


def test_dkimpy_accepts_both_signatures_of_a_digest() -> None:
    signed = SIGNER.sign(MESSAGE, NOW)
    assert signed.endswith(MESSAGE)
    assert verdicts(signed, RECORDS) == [True, True]
    assert verdicts(MESSAGE, RECORDS) == []


@pytest.mark.parametrize(
    ("original", "changed"),
    [
        (b"7 new ones", b"8 new ones"),
        (b"Subject: ", b"Subject: Fwd: "),
        (b"To: anne@", b"To: bert@"),
        (b"Date: Fri", b"Date: Sat"),
        (b"unsubscribe/abc", b"unsubscribe/abd"),
        (b"List-Unsubscribe=One-Click", b"List-Unsubscribe=Two-Click"),
        (b"Message-ID: <digest.17", b"Message-ID: <digest.18"),
        (b"List-Id: Digests", b"List-Id: Other digests"),
        (b"multipart/alternative", b"multipart/mixed"),
        (b"MIME-Version: 1.0", b"MIME-Version: 1.1"),
        # Some programs show both From fields; oversigning detects the second one.
        (b"\r\nTo:", b"\r\nFrom: <mallory@example.net>\r\nTo:"),
    ],
)
def test_changing_a_signed_part_breaks_both_signatures(original: bytes, changed: bytes) -> None:
    signed = SIGNER.sign(MESSAGE, NOW)
    assert original in signed
    assert verdicts(signed.replace(original, changed, 1), RECORDS) == [False, False]


def test_signatures_survive_what_relays_may_change() -> None:
    signed = SIGNER.sign(MESSAGE, NOW)
    folded = signed.replace(b"\r\nList-Id: Digests ", b"\r\nLIST-ID:   Digests\r\n\t ", 1)
    assert folded != signed
    touched = b"Received: by relay.example\r\n" + folded + b"\r\n\r\n"
    assert verdicts(touched, RECORDS) == [True, True]


def test_all_fields_that_rfc_8058_and_bulk_rules_require_are_signed() -> None:
    stamp = message_from_bytes(SIGNER.sign(MESSAGE, NOW), policy=policy.SMTP)["DKIM-Signature"]
    named = "".join(stamp.partition("h=")[2].partition(";")[0].split()).split(":")
    assert named.count("from") == 2
    assert {
        "to", "subject", "date", "message-id", "mime-version", "content-type", "list-id",
        "list-unsubscribe", "list-unsubscribe-post", "reply-to",
    } <= set(named)  # fmt: skip
    assert f"t={int(NOW.timestamp())};" in stamp
    assert "a=rsa-sha256; c=relaxed/relaxed; d=paperboy.example; s=rsa2026;" in stamp


def test_a_feedback_id_is_signed_if_present() -> None:
    message = MESSAGE.replace(b"\r\nTo:", b"\r\nFeedback-ID: 7:digest:daily:paperboy\r\nTo:", 1)
    signed = SIGNER.sign(message, NOW)
    assert b"feedback-id" in signed
    assert verdicts(signed.replace(b": 7:digest", b": 8:digest"), RECORDS) == [False, False]


def test_signature_lines_are_short() -> None:
    stamps = SIGNER.sign(MESSAGE, NOW).removesuffix(MESSAGE)
    assert stamps.count(b"DKIM-Signature: ") == 2
    assert max(map(len, stamps.split(b"\r\n"))) <= 140


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"=20", b".", b"b  c"]), max_size=40))
def test_relaxed_bodies_equal_those_of_dkimpy(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    theirs = dkim.canonicalization.Relaxed.canonicalize_body(body)
    # dkimpy gives an empty body of several line ends a line end, RFC 6376 §3.4.4 none.
    assert relax_body(body) == (theirs if theirs.strip(b"\r\n") else b"")


@given(
    st.lists(st.sampled_from(["wörd ", "a" * 70, "\n", "  two", "\t", "."]), max_size=30),
    st.text("abc é", min_size=1, max_size=90),
)
def test_signatures_are_valid_for_any_text(text: list[str], subject: str) -> None:
    mail = plain_mail(subject.strip() or "x", "<p>" + "".join(text), "".join(text) or ".")
    signed = SIGNER.sign(build_message(mail, HEADERS), NOW)
    assert verdicts(signed, RECORDS) == [True, True]


def test_repeated_fields_are_signed_from_the_last_upwards() -> None:
    message = MESSAGE.replace(b"\r\nTo:", b"\r\nReply-To: first@example.org\r\nTo:", 1)
    assert verdicts(SIGNER.sign(message, NOW), RECORDS) == [True, True]


@pytest.mark.parametrize(
    "message",
    [
        b"From: a@example.org\r\nSubject: no body",
        b"Subject: nobody\r\n\r\nwrote this\r\n",
        b"From: a@example.org\r\nFrom: b@example.org\r\n\r\ntwo did\r\n",
    ],
)
def test_a_message_that_receivers_would_reject_is_not_signed(message: bytes) -> None:
    with pytest.raises(HeaderError):
        SIGNER.sign(message, NOW)


def test_key_files_are_read_once(tmp_path: Path) -> None:
    rsa = write_key(tmp_path / "rsa.pem", rsa_key())
    edwards = write_key(tmp_path / "ed.pem", ed25519_key())
    keys = (f"rsa2026={rsa}", f"ed2026={edwards}")
    signer = load_signer("paperboy.example", keys)
    rsa.unlink()
    assert load_signer("paperboy.example", keys) is signer
    assert verdicts(signer.sign(MESSAGE, NOW), RECORDS) == [True, True]


def test_a_pkcs1_rsa_key_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "old.pem"
    path.write_bytes(
        rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    assert load_dkim_key(f"rsa2026={path}").record == RSA.record


def test_the_repr_of_a_key_has_no_private_number(tmp_path: Path) -> None:
    assert "private" not in repr(RSA)
    assert str(rsa_key().private_numbers().d) not in repr(RSA)


def long_key() -> rsa.RSAPrivateKey:
    """Return a key of 4484 bits from two known (Mersenne) primes: to search for some takes seconds."""
    p, q, e = 2**2281 - 1, 2**2203 - 1, 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    return rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public
    ).private_key(unsafe_skip_rsa_key_validation=True)


def bad_keys(folder: Path) -> dict[str, tuple[str, str]]:
    short = write_key(folder / "short.pem", rsa_key(1024))
    long = write_key(folder / "long.pem", long_key())
    curve = folder / "curve.pem"
    curve.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    )
    locked = folder / "locked.pem"
    locked.write_bytes(
        rsa_key().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")
        )
    )
    public = folder / "public.pem"
    public.write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    return {
        "no name": (str(short), "not selector="),
        "bad name": (f"-s={short}", "not selector="),
        "no path": ("s=", "not selector="),
        "missing": (f"s={folder / 'none.pem'}", "No such file"),
        "folder": (f"s={folder}", "Is a directory"),
        "short": (f"s={short}", "has 1024 bits"),
        "long": (f"s={long}", "has 4484 bits"),
        "curve": (f"s={curve}", "neither RSA nor Ed25519"),
        "locked": (f"s={locked}", "has a passphrase"),
        "public": (f"s={public}", "no private key"),
    }


def test_a_key_that_cannot_sign_is_refused_in_one_line_with_a_hint(tmp_path: Path) -> None:
    for word, reason in bad_keys(tmp_path).values():
        with pytest.raises(Refused) as raised:
            load_dkim_key(word)
        assert reason in str(raised.value)
        assert "\n" not in str(raised.value)
        assert raised.value.hint


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (RSA.record, ""),
        (RSA.record.replace("p=", "p= ").replace("; ", " ;  "), ""),
        (f"p={RSA.public}", ""),
        (RSA.record + "; h=sha1:sha256; s=email; t=s", ""),
        ("v=spf1 -all", "not a DKIM key"),
        ("v=DKIM1; k=rsa", "not a DKIM key"),
        ("v=DKIM1; k=rsa; p=", "revokes"),
        (EDWARDS.record, "is for ed25519, the key file is rsa"),
        (DkimKey("x", rsa_key(1024)).record, "another public key"),
        (RSA.record + "; h=sha1", "does not allow sha256"),
        (RSA.record + "; s=tlsrpt", "not for email"),
        (RSA.record + "; t=y", "only test"),
    ],
    # Every process generates its own keys, but test ids must be the same in all processes.
    ids=[
        *("as it is", "with spaces", "the key alone", "with more tags", "another record", "no key"),
        *("revoked", "another kind", "another key", "another hash", "another service", "a trial"),
    ],
)
def test_a_published_record_is_compared_with_the_key(record: str, reason: str) -> None:
    found = compare_record(RSA, record)
    assert reason in found
    assert bool(found) == bool(reason)


def test_a_signature_whose_key_is_not_published_is_invalid() -> None:
    signed = DkimSigner("paperboy.example", [replace(RSA, selector="else")]).sign(MESSAGE, NOW)
    assert b"s=else;" in signed
    assert verdicts(signed, RECORDS) == [False]
