"""Authenticate webhook calls by each provider's own method. Pure except for a fetched certificate.

Sources: AWS "Verifying the signatures of Amazon SNS messages", Mailgun "Securing webhooks", Twilio
SendGrid "Event Webhook security features", Postmark (which signs nothing: HTTP Basic, RFC 7617).
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

# Only these hosts' certificates count for SNS, because anybody can put a URL into a message.
_SNS_HOST = re.compile(r"sns\.[a-z]{2}(?:-[a-z]+)+-\d{1,2}\.amazonaws\.com(?:\.cn)?", re.ASCII)
_SNS_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{16,64}\.pem", re.ASCII)
_SNS_FIELDS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip
_SNS_FIELDS["UnsubscribeConfirmation"] = _SNS_FIELDS["SubscriptionConfirmation"]


class WebhookForged(Exception):
    """The call is not authenticated as the provider's; nothing in it may be trusted."""


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
    signature = value.get("signature") if isinstance(value, dict) else None
    given = signature if isinstance(signature, dict) else {}
    signed = f"{given.get('timestamp', '')}{given.get('token', '')}".encode("utf-8", "replace")
    if not given.get("token"):
        raise WebhookForged("no signature")
    _compare(hmac.new(secret.encode(), signed, sha256).hexdigest(), str(given.get("signature", "")))


def check_generic(call: Call, secret: str) -> None:
    """Check `X-Paperboy-Signature: sha256=<hex HMAC of the body>`. Raises `WebhookForged`."""
    given = call.headers.get("x-paperboy-signature", "").removeprefix("sha256=")
    _compare(hmac.new(secret.encode(), call.body, sha256).hexdigest(), given)


def _compare(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.lower().encode("utf-8", "replace")):
        raise WebhookForged("wrong signature")


def check_sendgrid(call: Call, public_key: str) -> None:
    """Check the ECDSA signature of timestamp and body by SendGrid's key. Raises `WebhookForged`."""
    stamp = call.headers.get("x-twilio-email-event-webhook-timestamp", "")
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


def check_sns(
    message: Mapping[str, Any], topics: frozenset[str], fetch: Fetch, now: datetime
) -> None:
    """Check an SNS message by its certificate from amazonaws.com. Raises `WebhookForged`.

    `topics` are the operator's own, because every AWS customer can sign messages of their topics.
    `fetch` is called with the certificate's URL only after that URL is checked.
    """
    names = _SNS_FIELDS.get(str(message.get("Type")))
    if names is None:
        raise WebhookForged("not an SNS message")
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


def certificate_url(message: Mapping[str, Any]) -> str:
    """Return the URL of the certificate. Raises `WebhookForged` unless it is Amazon's."""
    url = str(message.get("SigningCertURL") or message.get("SigningCertUrl") or "")
    if not is_amazon(url) or not _SNS_CERTIFICATE.fullmatch(urlsplit(url).path):
        raise WebhookForged("a certificate that is not from amazonaws.com")
    return url


def is_amazon(url: str) -> bool:
    """Return whether a URL is on an SNS host: https, port 443, no user before an @."""
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
