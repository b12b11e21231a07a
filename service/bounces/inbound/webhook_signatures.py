"""Authenticate webhook calls by each provider's own method. Pure except for a fetched certificate.

Sources: AWS "Verifying the signatures of Amazon SNS messages", Mailgun "Securing webhooks", Twilio
SendGrid "Event Webhook security features", Postmark (which signs nothing: HTTP Basic, RFC 7617).
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from service.platform import linear_regex

# Only these hosts' certificates count for SNS, because anybody can put a URL into a message.
_SNS_HOST = linear_regex.compile(r"sns\.[a-z]{2}(?:-[a-z]+)+-\d{1,2}\.amazonaws\.com(?:\.cn)?", "a")
_SNS_CERTIFICATE = linear_regex.compile(r"/SimpleNotificationService-[0-9a-f]{16,64}\.pem", "a")
_SNS_FIELDS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip
_SNS_FIELDS["UnsubscribeConfirmation"] = _SNS_FIELDS["SubscriptionConfirmation"]


# How far a signed time may be from ours, in either direction.
FRESH = timedelta(minutes=5)
# SNS signs when a message was published, and its policies deliver that message again for an hour.
SNS_FRESH = timedelta(hours=1) + FRESH
_STAMP = linear_regex.compile(r"\d{1,12}", "a")
_LONGEST_TOKEN = 200
_SENDGRID_TIME = "x-twilio-email-event-webhook-timestamp"


class WebhookForged(Exception):
    """The call is not authenticated as the provider's; nothing in it may be trusted."""


class WebhookStale(WebhookForged):
    """The call is signed, but not for now: somebody repeats it, or one of the clocks is wrong."""


@dataclass(frozen=True, slots=True)
class Call:
    """A raw webhook call. Header names are in lower case."""

    body: bytes
    headers: Mapping[str, str]


Fetch = Callable[[str], bytes]


def check_postmark(call: Call, secret: str) -> None:
    """Check HTTP Basic with `user:password` as the secret. Raises `WebhookForged`."""
    scheme, _, given = call.headers.get("authorization", "").partition(" ")
    try:
        pair = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WebhookForged("no HTTP Basic credentials") from error
    if scheme.lower() != "basic" or not hmac.compare_digest(pair, secret.encode()):
        raise WebhookForged("wrong user or password")


def check_mailgun(value: object, secret: str) -> None:
    """Check the HMAC-SHA256 of timestamp and token, with the signing key. Raises `WebhookForged`."""
    stamp, token, given = _mailgun_signature(value)
    signed = f"{stamp}{token}".encode("utf-8", "replace")
    _compare(hmac.new(secret.encode(), signed, sha256).hexdigest(), given)


def check_mailgun_time(value: object, now: datetime) -> str:
    """Check the signed time of an authenticated call; return its token. Raises `WebhookStale`.

    The signature is not of the event, so a token must not be accepted for a second one.
    """
    stamp, token, _ = _mailgun_signature(value)
    _check_time(_time_of(stamp), now)
    return token


def _mailgun_signature(value: object) -> tuple[str, str, str]:
    """Return timestamp, token and signature."""
    signature = value.get("signature") if isinstance(value, dict) else None
    given = signature if isinstance(signature, dict) else {}
    stamp, token, proof = (given.get(name) for name in ("timestamp", "token", "signature"))
    # Mailgun sends the time as text; its documentation calls it a number.
    stamp = str(stamp) if isinstance(stamp, int) else stamp
    if not (isinstance(stamp, str) and isinstance(token, str) and isinstance(proof, str)):
        raise WebhookForged("no signature")
    if not 0 < len(token) <= _LONGEST_TOKEN:
        raise WebhookForged("no token of the usual length")
    return stamp, token, proof


def _time_of(stamp: str) -> datetime | None:
    """Return a time in seconds since 1970; None where it is none."""
    try:
        return datetime.fromtimestamp(int(stamp), UTC) if _STAMP.fullmatch(stamp) else None
    except (ValueError, OverflowError, OSError):
        return None


def _check_time(at: datetime | None, now: datetime, oldest: timedelta = FRESH) -> None:
    if at is None or not -FRESH <= now - at <= oldest:
        raise WebhookStale("signed for another time")


def check_generic(call: Call, secret: str) -> None:
    """Check `X-Paperboy-Signature: sha256=<hex HMAC of the body>`. Raises `WebhookForged`."""
    given = call.headers.get("x-paperboy-signature", "").removeprefix("sha256=")
    _compare(hmac.new(secret.encode(), call.body, sha256).hexdigest(), given)


def _compare(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.lower().encode("utf-8", "replace")):
        raise WebhookForged("wrong signature")


def check_sendgrid(call: Call, public_key: str) -> None:
    """Check the ECDSA signature of timestamp and body by SendGrid's key. Raises `WebhookForged`."""
    stamp = call.headers.get(_SENDGRID_TIME, "")
    try:
        signature = base64.b64decode(
            call.headers.get("x-twilio-email-event-webhook-signature", ""), validate=True
        )
        key = load_der_public_key(base64.b64decode(public_key))
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise WebhookForged("the public key set for SendGrid is not an ECDSA key")
        key.verify(
            signature, stamp.encode("utf-8", "replace") + call.body, ec.ECDSA(hashes.SHA256())
        )
    except (InvalidSignature, ValueError, binascii.Error) as error:
        raise WebhookForged("wrong signature") from error


def check_sendgrid_time(call: Call, now: datetime) -> None:
    """Check the signed time of an authenticated call. Raises `WebhookStale`."""
    _check_time(_time_of(call.headers.get(_SENDGRID_TIME, "")), now)


def check_sns(
    message: Mapping[str, Any], topics: frozenset[str], fetch: Fetch, now: datetime
) -> None:
    """Check an SNS message by its certificate from amazonaws.com, and its time.

    Raises `WebhookForged`, or `WebhookStale` for a time that is more than `SNS_FRESH` ago.

    `topics` are the operator's own, because every AWS customer can sign messages of their topics.
    `fetch` is called with the certificate's URL only after that URL is checked.
    """
    names = _SNS_FIELDS.get(str(message.get("Type")))
    if names is None:
        raise WebhookForged("not an SNS message")
    if not all(isinstance(message.get(name, ""), str) for name in (*names, "Signature")):
        raise WebhookForged("a field that is no text")
    if message.get("TopicArn") not in topics:
        raise WebhookForged("a topic that is not ours")
    signed = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
    algorithm: hashes.HashAlgorithm
    match str(message.get("SignatureVersion")):
        case "1":
            algorithm = hashes.SHA1()  # noqa: S303  # the default of SNS
        case "2":
            algorithm = hashes.SHA256()
        case _:
            raise WebhookForged("an unknown version of the signature")
    try:
        signature = base64.b64decode(str(message.get("Signature", "")), validate=True)
        key = _certified_key(fetch(certificate_url(message)), now)
        key.verify(signature, signed.encode("utf-8", "replace"), padding.PKCS1v15(), algorithm)
    except (InvalidSignature, ValueError, binascii.Error) as error:
        raise WebhookForged("wrong signature") from error
    _check_time(_published_at(message), now, SNS_FRESH)


def _published_at(message: Mapping[str, Any]) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(message.get("Timestamp")))
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC)


def certificate_url(message: Mapping[str, Any]) -> str:
    """Return the URL of the certificate. Raises `WebhookForged` unless it is Amazon's."""
    url = str(message.get("SigningCertURL") or message.get("SigningCertUrl") or "")
    parts = urlsplit(url) if is_amazon(url) else None
    if parts is None or parts.query or not _SNS_CERTIFICATE.fullmatch(parts.path):
        raise WebhookForged("a certificate that is not from amazonaws.com")
    return url


def is_amazon(url: str) -> bool:
    """Return whether a URL is on an SNS host: https, port 443, no user before an @."""
    # Python removes line ends from URLs before it splits them, and others do not.
    if not (url.isascii() and url.isprintable()) or "#" in url:
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    is_plain = parts.netloc.lower() in {host, f"{host}:443"}
    return (
        parts.scheme == "https"
        and is_plain
        and port in {None, 443}
        and bool(_SNS_HOST.fullmatch(host))
    )


def _certified_key(pem: bytes, now: datetime) -> rsa.RSAPublicKey:
    certificate = x509.load_pem_x509_certificate(pem)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise WebhookForged("a certificate that is not valid today")
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise WebhookForged("a certificate without an RSA key")
    return key
