"""Check each relay as a mail would meet it: does it listen, under which name, with which certificate?"""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

from service.operations.domain.finding import Finding
from service.operations.domain.mail_hosts import is_internal
from service.platform.settings.relays import SmtpRelay

CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Greeting:
    """A relay that answered. `name` is the one it calls itself; `is_own` as in `is_own_host`."""

    relay: SmtpRelay
    name: str
    is_own: bool


def greet(relay: SmtpRelay) -> Greeting:
    """Connect and return the relay's name in its greeting. Raises `SMTPException` and `OSError`."""
    with _connect(relay, _unverified() if relay.use_tls else None) as client:
        # "250-mail.example.org": the name that Postfix also says in its own HELO.
        words = client.ehlo()[1].decode("ascii", "replace").split()
        is_own = client.sock is not None and is_own_host(client.sock)
    return Greeting(relay, words[0].lower() if words else "", is_own)


def is_own_host(connection: socket.socket) -> bool:
    """Return whether a relay is this machine or in its private network: then the host is ours.

    Any other relay belongs to somebody else, whose own names and addresses receivers see.
    """
    theirs, ours = connection.getpeername()[0], connection.getsockname()[0]
    return is_internal(theirs.partition("%")[0]) or theirs == ours


def check_tls(relay: SmtpRelay) -> Iterator[Finding]:
    """Yield whether the relay's certificate is one for the host in `SMTP_URL`, as senders ask."""
    if relay.starttls == "off" and not relay.use_tls:
        return
    name = f"TLS {relay.name}"
    try:
        with _connect(relay, ssl.create_default_context() if relay.use_tls else None) as client:
            if not relay.use_tls and not _upgrade(client, ssl.create_default_context()):
                if relay.starttls == "required":
                    hint = "Ask the relay's operator, or use another port"
                    yield Finding(name, "bad", "STARTTLS is not offered", hint)
                return
    except ssl.SSLCertVerificationError as error:
        yield Finding(name, "bad", error.verify_message, _how_to_verify(relay))
    except (smtplib.SMTPException, OSError) as error:
        yield Finding(name, "bad", " ".join(str(error).split()), "Check SMTP_URL")
    else:
        yield Finding(name, "good", f"the certificate is for {relay.host}")


def _how_to_verify(relay: SmtpRelay) -> str:
    names = ", ".join(_names_in_certificate(relay)) or "no name at all"
    return f"The certificate is for {names}: write that host in SMTP_URL, or renew the certificate"


def _names_in_certificate(relay: SmtpRelay) -> list[str]:
    context = _unverified()
    try:
        with _connect(relay, context if relay.use_tls else None) as client:
            if not relay.use_tls:
                _upgrade(client, context)
            wire = client.sock
            encoded = (
                wire.getpeercert(binary_form=True) if isinstance(wire, ssl.SSLSocket) else None
            )
        certificate = x509.load_der_x509_certificate(encoded or b"")
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return [
            *found.get_values_for_type(x509.DNSName),
            *map(str, found.get_values_for_type(x509.IPAddress)),
        ]
    except (smtplib.SMTPException, OSError, ValueError, x509.ExtensionNotFound):
        return []


def _unverified() -> ssl.SSLContext:
    """Return a context that only looks; nothing is sent over such a connection."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _connect(relay: SmtpRelay, context: ssl.SSLContext | None) -> smtplib.SMTP:
    if context is None:
        return smtplib.SMTP(relay.host, relay.port, timeout=CONNECT_SECONDS)
    return smtplib.SMTP_SSL(relay.host, relay.port, timeout=CONNECT_SECONDS, context=context)


def _upgrade(client: smtplib.SMTP, context: ssl.SSLContext) -> bool:
    """Switch to TLS; return false where the relay does not offer it."""
    client.ehlo()
    if not client.has_extn("starttls"):
        return False
    client.starttls(context=context)
    return True
