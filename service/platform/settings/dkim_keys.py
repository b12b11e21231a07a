"""The operator's DKIM keys: read from files, and refused with a reason where they cannot sign.

They are here and not with the messages, because checking the settings includes checking the keys.
"""

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from service.platform.settings.faults import Refused

# RFC 8301 §3.2: signers MUST use at least 1024 bits and SHOULD use at least 2048.
LEAST_RSA_BITS = 2048
# "Verifiers MUST be able to validate signatures with keys ranging from 1024 bits to 4096 bits."
MOST_RSA_BITS = 4096

_SELECTOR = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A private key, and the selector under which its public key is in DNS."""

    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    @property
    def algorithm(self) -> str:
        return "rsa" if isinstance(self.private, RSAPrivateKey) else "ed25519"

    @property
    def record(self) -> str:
        """The text to publish at `<selector>._domainkey.<domain>`."""
        return f"v=DKIM1; k={self.algorithm}; p={self.public}"

    @property
    def public(self) -> str:
        """The public key as the value of `p=` (RFC 6376 §3.6.1, RFC 8463 §3)."""
        public = self.private.public_key()
        if isinstance(self.private, RSAPrivateKey):
            octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            octets = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(octets).decode("ascii")

    def sign(self, digest: bytes) -> bytes:
        """Return the signature of a SHA-256 digest."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(digest, PKCS1v15(), Prehashed(SHA256()))
        return self.private.sign(digest)


def load_dkim_key(entry: str) -> DkimKey:
    """Load the key of a setting's entry `selector=/path/to/key.pem`. Raises `Refused`."""
    selector, _, path = entry.partition("=")
    if not _SELECTOR.fullmatch(selector) or not path:
        raise Refused("a word is not selector=/path/to/key.pem", "Use s2026=/run/secrets/dkim.pem")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        problem = f"the key file {path} cannot be read ({error.strerror})"
        raise Refused(problem, "Name a file that this user may read") from error
    return DkimKey(selector, _private_key(path, content))


def _private_key(path: str, content: bytes) -> RSAPrivateKey | Ed25519PrivateKey:
    hint = "Make one with `openssl genrsa 2048` or `openssl genpkey -algorithm ed25519`"
    try:
        private = load_pem_private_key(content, password=None)
    except TypeError as error:
        problem = f"the key in {path} has a passphrase, and nobody is there to type it"
        raise Refused(problem, "Remove it with `openssl pkey`") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refused(f"{path} holds no private key in PEM form", hint) from error
    if isinstance(private, Ed25519PrivateKey):
        return private
    if not isinstance(private, RSAPrivateKey):
        raise Refused(f"the key in {path} is neither RSA nor Ed25519", hint)
    if private.key_size < LEAST_RSA_BITS:
        problem = (
            f"the RSA key in {path} has {private.key_size} bits, receivers want {LEAST_RSA_BITS}"
        )
        raise Refused(problem, hint)
    if private.key_size > MOST_RSA_BITS:
        problem = f"the RSA key in {path} has {private.key_size} bits, receivers need not read more than {MOST_RSA_BITS}"
        raise Refused(problem, hint)
    return private
