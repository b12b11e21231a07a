"""DKIM keys for tests, and dkimpy as the receiver that verifies their signatures."""

import base64
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import dkim
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@cache
def rsa_key(bits: int = 2048) -> RSAPrivateKey:
    """Return an RSA key, generated once per run, because the search for primes takes a moment."""
    return generate_private_key(65537, bits)


@cache
def ed25519_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def write_key(path: Path, key: RSAPrivateKey | Ed25519PrivateKey) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return path


class _VerifyKey:
    """Ed25519 for dkimpy, which asks PyNaCl for it: the curve by OpenSSL, all else is dkimpy's."""

    def __init__(self, public: bytes, encoder: object) -> None:  # noqa: ARG002
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public))

    def verify(self, digest: bytes, signature: bytes) -> None:
        self._key.verify(signature, digest)


NACL = SimpleNamespace(
    signing=SimpleNamespace(VerifyKey=_VerifyKey),
    encoding=SimpleNamespace(Base64Encoder=object()),
    exceptions=SimpleNamespace(BadSignatureError=InvalidSignature, ValueError=ValueError),
)


def verdicts(message: bytes, records: Mapping[str, str]) -> list[bool]:
    """Return dkimpy's verdict on each signature, topmost first; `records` are TXT records by name."""
    dkim.nacl = NACL
    verifier = dkim.DKIM(message)
    count = sum(name.lower() == b"dkim-signature" for name, _ in verifier.headers)

    def find(name: bytes, timeout: int = 5) -> bytes:
        return records.get(name.decode().rstrip("."), "").encode()

    def is_valid(place: int) -> bool:
        try:
            return bool(verifier.verify(place, dnsfunc=find))
        except dkim.ValidationError:
            return False  # what it raises where the body was changed

    return [is_valid(place) for place in range(count)]
