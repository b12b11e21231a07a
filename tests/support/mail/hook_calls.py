"""Webhook calls as the providers make them, with keys of the tests."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from service.bounces.inbound.webhook_signatures import Call

TOPIC = "arn:aws:sns:eu-west-1:123456789012:bounces"
CERTIFICATE = (
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123.pem"
)
# 2026-09-18T05:00:00Z, when the clock of a test stands unless it is moved.
SIGNED_AT = "1789707600"
VALID_FROM = datetime(2026, 1, 1, tzinfo=UTC)
SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """Return a certificate of 2026, in PEM."""
    key = key or rsa_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_FROM + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def sns(
    message: object, kind: str = "Notification", version: str = "2", **more: str
) -> dict[str, Any]:
    """Return a signed SNS message; `more` is added before it is signed."""
    envelope: dict[str, Any] = {
        "Type": kind,
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": "2026-09-18T05:00:00.000Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
        **more,
    }
    text = "".join(f"{name}\n{envelope[name]}\n" for name in SIGNED[kind] if name in envelope)
    digest = hashes.SHA1() if version == "1" else hashes.SHA256()  # noqa: S303  # as SNS does
    signature = rsa_key().sign(text.encode(), padding.PKCS1v15(), digest)
    return {**envelope, "Signature": base64.b64encode(signature).decode()}


def ses_bounce(address: str, source: str = "", **bounce: Any) -> dict[str, Any]:
    """Return the content of SES's SNS message for a bounce."""
    recipient = {"emailAddress": address, "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 no"}
    return {
        "notificationType": "Bounce",
        "bounce": {
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "feedbackId": "feedback-1",
            "timestamp": "2026-09-18T05:01:00.000Z",
            "bouncedRecipients": [recipient],
            **bounce,
        },
        "mail": {"messageId": "ses-1", "source": source},
    }


def sendgrid(events: object) -> Call:
    return sign_sendgrid(json.dumps(events).encode())


def sign_sendgrid(body: bytes, stamp: str = SIGNED_AT) -> Call:
    signature = ec_key().sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    headers = {
        "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
        "x-twilio-email-event-webhook-timestamp": stamp,
    }
    return Call(body, headers)


def sendgrid_public_key() -> str:
    der = (
        ec_key()
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return base64.b64encode(der).decode()


def mailgun(event: object, key: str, *, stamp: str = SIGNED_AT, token: str = "") -> dict[str, Any]:
    token = token or sha256(json.dumps(event).encode()).hexdigest()[:50]
    signature = hmac.new(key.encode(), f"{stamp}{token}".encode(), sha256).hexdigest()
    return {
        "signature": {"timestamp": stamp, "token": token, "signature": signature},
        "event-data": event,
    }


def generic(body: bytes, key: str, **headers: str) -> Call:
    signature = hmac.new(key.encode(), body, sha256).hexdigest()
    return Call(body, {"x-paperboy-signature": f"sha256={signature}", **headers})


def basic(pair: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
